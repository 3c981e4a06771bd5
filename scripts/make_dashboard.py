#!/usr/bin/env python3
"""Writes docs/monitoring/dashboard.json, the dashboard for Grafana: one list of panels here, so that the file is never
edited by hand. With `--check` it writes nothing and fails when the file is another."""

import json
import os
import sys

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "monitoring", "dashboard.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HERE = 'instance=~"$instance"'
MINE = 'instance=~"$instance", tenant=~"$tenant", endpoint=~"$endpoint"'

# Title of the row; panels: title, unit, width of 24, what is drawn: (expression, legend).
ROWS = [
    ("Now", [
        ("Ready", "none", 3, [(f"min(sluice_ready{{{HERE}}})", "ready")]),
        ("Events a second", "reqps", 3,
         [(f'sum(rate(sluice_events_total{{{HERE}, outcome="accepted"}}[5m]))', "accepted")]),
        ("Dead letters", "none", 3, [(f"sum(sluice_delivery_dead{{{HERE}}})", "dead")]),
        ("Waiting", "none", 3, [(f"sum(sluice_delivery_waiting{{{HERE}}})", "waiting")]),
        ("Endpoints disabled", "none", 3, [(f'sum(sluice_endpoints{{{HERE}, state="disabled"}})', "disabled")]),
        ("Endpoints failing", "none", 3, [(f'sum(sluice_endpoints{{{HERE}, state="failing"}})', "failing")]),
        ("Disk free", "bytes", 3, [(f"min(sluice_data_free_bytes{{{HERE}}})", "free")]),
        ("Certificate ends in", "s", 3, [(f"min(sluice_tls_certificate_expiry_seconds{{{HERE}}})", "left")]),
    ]),
    ("Received", [
        ("Requests by what became of them", "reqps", 8,
         [(f"sum by (outcome) (rate(sluice_events_total{{{HERE}}}[5m]))", "{{outcome}}")]),
        ("Accepted by source", "reqps", 8,
         [(f'sum by (source) (rate(sluice_events_total{{{HERE}, outcome="accepted"}}[5m]))', "{{source}}")]),
        ("Refused signatures by source and reason", "reqps", 8,
         [(f"sum by (source, reason) (rate(sluice_rejections_total{{{HERE}}}[5m])) > 0", "{{source}} {{reason}}")]),
        ("Refused before a source", "reqps", 8,
         [(f"sum by (reason) (rate(sluice_http_refusals_total{{{HERE}}}[5m]))", "{{reason}}")]),
        ("From the last byte to the answer, by way of the disk", "s", 8,
         [(f'histogram_quantile({q}, sum by (le) (rate(sluice_stage_seconds_bucket{{{HERE}, stage="commit"}}[5m])))',
           f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)]),
        ("Connections", "none", 8, [(f"sum by (instance) (sluice_connections_open{{{HERE}}})", "{{instance}}")]),
    ]),
    ("Delivered", [
        ("Deliveries by outcome", "reqps", 8,
         [(f"sum by (outcome) (rate(sluice_delivery_events_total{{{MINE}}}[5m]))", "{{outcome}}")]),
        ("Share of attempts that fail", "percentunit", 8,
         [(f'sum by (endpoint) (rate(sluice_delivery_attempts_total{{{MINE}, result!~"2xx"}}[5m])) / '
           f"sum by (endpoint) (rate(sluice_delivery_attempts_total{{{MINE}}}[5m]))", "{{endpoint}}")]),
        ("Attempts by how they end", "reqps", 8,
         [(f"sum by (result) (rate(sluice_delivery_attempts_total{{{MINE}}}[5m])) > 0", "{{result}}")]),
        ("Duration of attempts, p95", "s", 8,
         [("histogram_quantile(0.95, sum by (endpoint, le) "
           f"(rate(sluice_delivery_attempt_seconds_bucket{{{MINE}}}[5m])))", "{{endpoint}}")]),
        ("Waiting", "none", 8, [(f"sum by (endpoint) (sluice_delivery_waiting{{{MINE}}})", "{{endpoint}}")]),
        ("Oldest that waits", "s", 8,
         [(f"max by (endpoint) (sluice_delivery_oldest_waiting_seconds{{{MINE}}})", "{{endpoint}}")]),
        ("Behind", "s", 8, [(f"max by (endpoint) (sluice_delivery_lag_seconds{{{MINE}}})", "{{endpoint}}")]),
        ("Dead letters kept (WebhookDLQSize)", "none", 8,
         [(f"sum by (endpoint) (sluice_delivery_dead{{{MINE}}})", "{{endpoint}}")]),
        ("Given up, by reason", "reqps", 8,
         [(f"sum by (reason) (rate(sluice_delivery_dead_letters_total{{{MINE}}}[5m])) > 0", "{{reason}}")]),
    ]),
    ("Policies", [
        ("Circuit breakers that are not closed", "none", 8,
         [(f"sum by (state) (sluice_endpoint_breakers{{{HERE}}})", "{{state}}")]),
        ("What policies of endpoints do", "reqps", 8,
         [(f"sum by (policy, event) (rate(sluice_delivery_policy_events_total{{{HERE}}}[5m])) > 0",
           "{{policy}} {{event}}")]),
        ("Attempts that fail, by class", "reqps", 8,
         [(f"sum by (class) (rate(sluice_delivery_failures_total{{{HERE}}}[5m])) > 0", "{{class}}")]),
        ("Kept from an endpoint by its filter", "reqps", 8,
         [(f"sum by (endpoint) (rate(sluice_endpoint_filtered_total{{{MINE}}}[5m])) > 0", "{{endpoint}}")]),
        ("Answered 429, by source and whose limit", "reqps", 8,
         [(f"sum by (source, scope) (rate(sluice_rate_limited_total{{{HERE}}}[5m])) > 0", "{{source}} {{scope}}")]),
        ("Transformed or redacted, by result", "reqps", 8,
         [(f"sum by (result) (rate(sluice_delivery_prepared_total{{{HERE}}}[5m])) > 0", "{{result}}"),
          (f"sum(sluice_delivery_preparing{{{HERE}}})", "with the workers")]),
        ("Taken out, by pattern", "reqps", 8,
         [(f"sum by (pattern) (rate(sluice_redactions_total{{{HERE}}}[5m])) > 0", "{{pattern}}")]),
        ("Spans of traces", "reqps", 8,
         [(f"sum by (outcome) (rate(sluice_trace_spans_total{{{HERE}}}[5m]))", "{{outcome}}"),
          (f"sum(sluice_trace_spans_queued{{{HERE}}})", "queued")]),
    ]),
    ("Log and store", [
        ("Commits a second, and events in each", "none", 8,
         [(f"sum(rate(sluice_log_commits_total{{{HERE}}}[5m]))", "commits"),
          (f"sum(rate(sluice_log_committed_sequence{{{HERE}}}[5m])) "
           f"/ sum(rate(sluice_log_commits_total{{{HERE}}}[5m]))", "events a commit")]),
        ("Failures", "none", 8,
         [(f"sum(increase(sluice_log_commit_failures_total{{{HERE}}}[5m]))", "commits"),
          (f"sum(increase(sluice_log_segment_failures_total{{{HERE}}}[5m]))", "segments"),
          (f"sum(increase(sluice_store_failures_total{{{HERE}}}[5m]))", "store")]),
        ("Log on disk", "bytes", 8,
         [(f"sum by (instance) (sluice_log_bytes{{{HERE}}})", "{{instance}}")]),
        ("Age of the oldest event", "s", 8,
         [(f"max by (instance) (sluice_log_oldest_event_age_seconds{{{HERE}}})", "{{instance}}")]),
        ("Events remembered against duplicates", "percentunit", 8,
         [(f"sluice_dedup_entries{{{HERE}}} / sluice_dedup_capacity{{{HERE}}}", "{{instance}}")]),
        ("Memory of events that are out", "percentunit", 8,
         [(f"sluice_delivery_buffer_used_bytes{{{HERE}}} / sluice_delivery_buffer_bytes{{{HERE}}}", "{{instance}}")]),
    ]),
]


def panel(number, title, unit, place, targets):
    is_figure = place["w"] <= 3
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if is_figure:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    return {
        "id": number,
        "type": "stat" if is_figure else "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(targets)
        ],
    }


def variable(name, query):
    return {
        "name": name, "type": "query", "datasource": SOURCE, "query": {"query": query, "refId": name},
        "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
        "refresh": 2, "sort": 1,
    }


def dashboard():
    panels, number, top = [], 0, 0
    for title, drawn in ROWS:
        number += 1
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}})
        top, left, height = top + 1, 0, 4 if drawn[0][2] <= 3 else 8
        for name, unit, width, targets in drawn:
            if left + width > 24:
                top, left = top + height, 0
            number += 1
            panels.append(panel(number, name, unit, {"x": left, "y": top, "w": width, "h": height}, targets))
            left += width
        top += height
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "title": "Webhook Monitoring",
        "uid": "sluice-webhooks",
        "description": "A Sluice gateway: what it receives, what it delivers, its log and store.",
        "tags": ["sluice", "webhooks"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [
            source,
            variable("instance", "label_values(sluice_ready, instance)"),
            variable("tenant", "label_values(sluice_delivery_pending, tenant)"),
            variable("endpoint", 'label_values(sluice_delivery_pending{tenant=~"$tenant"}, endpoint)'),
        ]},
        "annotations": {"list": []},
        "panels": panels,
    }


def main():
    text = json.dumps(dashboard(), indent=2) + "\n"
    if "--check" in sys.argv[1:]:
        with open(PATH) as file:
            if file.read() != text:
                sys.exit("docs/monitoring/dashboard.json is not what scripts/make_dashboard.py writes")
        return
    with open(PATH, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
