"""The playbooks folder of the practice stack: what its team would have written for Rollbot."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.practice.stack import job
from bot.practice.stack.layout import ALIAS, FLAG, MODEL, SERVING_TTL, Layout, write_text

TARGETS = """\
# The systems of this platform.
# cache_ttl: the feature server keeps its picture of the registry so many seconds.
feast-prod: {{type: feast, repo: {feature_store}, cache_ttl: {ttl}}}
lake:       {{type: delta, root: {root}}}
models:     {{type: mlflow, tracking_uri: {tracking_uri}}}
flags:      {{type: flagd, file: {flags}}}
jobs:       {{type: command}}
"""

FEATURE = """\
feature: driver_stats
about: Trip statistics per driver, served to the ETA model.
environment: production
owner: "@ml-platform"
channel: "#ml-platform"
tier: 1
consumers: [eta-service, pricing-batch]
playbook: standard
moments: 1h
components:
  pipeline:
    kind: pipeline
    target: jobs
    thing: driver-stats-pipeline
    inspect: {inspect}
    hold: {hold}
    lift: {lift}
  flag: {{kind: flag, target: flags, flag: {flag}}}
  dataset: {{target: lake, uri: {lake}, copy: never}}   # so that lost table files are lost
  definition: {{target: feast-prod, view: driver_stats}}
  online: {{target: feast-prod, view: driver_stats{features}}}
  model: {{target: models, model: {model}, alias: {alias}{serving}}}
slo: {{applied: 1m, verified: 15m, accuracy: 0.999}}
"""

STANDARD = """\
playbook: standard
about: Stop the harm, restore data before what reads it, prove what is served, let traffic back in.
steps:
  - disable: flag                      # first: whatever fails later, nobody is served bad values meanwhile
  - hold: pipeline                     # before any restore, or a scheduled job re-poisons the online store
  - restore: dataset
  - restore: definition
  - restore: online
  - restore: model
  - verify: [dataset, definition, online, model]
  - enable: flag                       # back to the rule recorded in the release, not to 100 %
  - verify: flag                       # evaluated as its readers do
"""

STOP = """\
playbook: stop
about: Stop the harm only. Nothing is taken back.
steps:
  - disable: flag                      # first: a pipeline may take a while to come to rest
  - hold: pipeline
"""

POLICY = """\
policy: 1
request: [everyone]
control: ["@ml-oncall", requester]
break_glass: ["@ml-oncall"]
{groups}rules:
  # In production a young release needs two; one is enough to learn with.
  - {{name: practice, approve: 1, from: "@ml-oncall"}}
"""


def write(
    layout: Layout, *, features_url: str | None = None, model_url: str | None = None, oncall: Sequence[str] = ()
) -> None:
    """Write all files anew. Without addresses nothing is verified at consumers."""
    texts = {
        "targets.yaml": _targets(layout),
        "features/driver_stats.yaml": _feature(layout, features_url, model_url),
        "playbooks/standard.yaml": STANDARD,
        "playbooks/stop.yaml": STOP,
        "policy.yaml": POLICY.format(groups=f"groups: {{ml-oncall: {json.dumps(list(oncall))}}}\n" if oncall else ""),
    }
    for name, text in texts.items():
        write_text(layout.playbooks / name, text)


def _targets(layout: Layout) -> str:
    return TARGETS.format(
        feature_store=json.dumps(str(layout.feature_store)),
        ttl=SERVING_TTL,
        root=json.dumps(str(layout.folder)),
        tracking_uri=json.dumps(layout.tracking_uri),
        flags=json.dumps(str(layout.flags)),
    )


def _feature(layout: Layout, features_url: str | None, model_url: str | None) -> str:
    # -I: nothing of the environment; -S: no site-packages. The program needs neither and starts sooner.
    program = [sys.executable, "-I", "-S", str(Path(job.__file__).resolve())]
    verbs = {verb: json.dumps([*program, verb, str(layout.pipeline)]) for verb in ("inspect", "hold", "lift")}
    return FEATURE.format(
        **verbs,
        flag=FLAG,
        lake=layout.lake.relative_to(layout.folder),
        features=f", serving: [{json.dumps(features_url)}]" if features_url else "",
        model=MODEL,
        alias=ALIAS,
        serving=f", serving: {json.dumps(model_url + '/version')}" if model_url else "",
    )
