// The commented example configuration, embedded, so that the binary alone can start. The same text as
// docs/sluice.example.yaml; a test keeps them equal.

// swift-format-ignore-file

package enum ExampleConfiguration {
    /// The variable that the example's secrets come from; `serve` without a configuration sets it.
    package static let secretVariable = "SLUICE_EXAMPLE_SECRET"

    package static let text = #"""
# A Sluice configuration, with every key and its default. `sluice config check FILE` says what is wrong with yours.
# Sizes: 64KiB, 1MiB. Times: 500ms, 30s, 5m, 24h, 7d. `${NAME}` takes a value from the environment, `file:PATH` a secret
# from a file. Relative paths start at the folder of this file. docs/configuration.md explains each key.

listen: 127.0.0.1:8080            # ingest; a list for several: ["0.0.0.0:8080", "[::]:8080", "unix:/run/sluice.sock"]
# with TLS: { address: "0.0.0.0:8443", tls: { certificate: hooks.pem, key: hooks.key, client_ca: clients.pem,
#   client_crl: revoked.pem } }
admin: 127.0.0.1:8081             # control API, metrics, health; the first key is in DATA/platform.key
# with TLS: { address: "0.0.0.0:8443", tls: { certificate: control.pem, key: control.key } }
# open_metrics: false             # true: /metrics asks for no key
# identity:                       # tokens (JWT) of your identity provider open the control API as well
#   issuer: https://id.example.com
#   audience: sluice
#   keys: jwks.json               # a JWK set: a file or an https URL; or secret: "${NAME}", for HS256
#   tenant_claim: tenant          # a tenant's id or uid
#   role_claim: role              # viewer, publisher, operator, admin
data: ./sluice-data               # the log and the delivery state; one process a folder
# master_key: file:/run/secrets/master   # encrypts stored secrets; or env:NAME; without it DATA/master.key
# public_url: https://hooks.example.com   # as senders use it, for signatures over the URL
# trusted_proxies: ["10.0.0.0/8", "unix"]   # whose X-Forwarded-* and Forwarded fields count
# health_path: /health           # the ingest port answers GET and HEAD there with 200
# publish: false                  # true: the ingest port takes published events and messages too, by a key
# tenants:                        # what a tenant's sources and publishers may send together
#   - { name: acme, rate_limit: token-bucket, weight: 5 }   # weight: its part of what all tenants deliver by; 1
#   - { name: "*", rate_limit: { per_minute: 6000 } }   # each tenant without a limit of its own
# client_certificates:            # shown to targets of the contract's entries that name them (mtls_cert_ref)
#   - { name: partner, tenant: acme, certificate: partner.pem, key: partner.key, ca: partner-ca.pem }
# proxy_protocol: false           # true, or a list of listeners: connections begin with a PROXY preamble
# loops: auto                     # ingest threads
# grace: 10s                      # how long SIGTERM waits for what is in flight
# verifier: auto                  # auto, openssl, multibuffer
# verifier_threads: 1             # for signatures too slow for an ingest thread: public keys, certificates
# verifier_queue: 1024            # requests that may wait for them, an ingest thread
# rejected:                       # what was answered 401 is kept for a closer look; each number is a source's
#   per_second: 100
#   keep: 1000                    # 0 keeps none
#   bytes: 16MiB

# limits:
#   request_line: 8KiB
#   head: 64KiB                   # all header fields of one request
#   fields: 100                   # how many of them
#   body: 1MiB
#   head_time: 10s                # slow senders are cut off
#   body_time: 25s
#   idle_time: 70s                # keep-alive connections
#   send_time: 30s                # how long an answer may wait for its reader
#   commit_time: 15s              # how long an event may wait for the disk before it is answered 503
#   connections: 10000
#   connections_per_address: 0    # of one client; 0 = no limit; a trusted proxy is none
#   assembly: 64MiB               # memory for requests larger than one receive buffer, a loop

# expressions:                    # memory of the regular expressions in filters, redactions and schemas
#   tenant: 64MiB
#   total: 512MiB

# log:
#   segment: 64MiB
#   retention: { size: 64GiB, age: 7d }   # never a segment that an endpoint still needs; `never` switches one off
#   free_space: 256MiB            # refuse new events when the disk has less
#   group: 32MiB                  # bytes of one commit

# dedup:
#   entries: 1048576              # 32 bytes each
#   window: 24h

delivery:
  allow: ["127.0.0.0/8"]          # endpoints on addresses that are not global need their range opened here
#   proxy: { url: "http://proxy.example:3128", except: ["10.0.0.0/8"] }   # for endpoints that are reached through one
#   history: 7d                   # how long delivered events stay listed
#   buffer: 64MiB                 # memory for events that are out with endpoints

# ops_center:                     # webhooks of /api/v1/webhooks
#   retry_delays: [1m, 5m, 15m, 1h, 2h]
#   attempt_timeout: 30s
# operational:                    # webhooks of /api/v1/operational_webhooks
#   retry_delays: [5s, 20s, 80s, 320s]
#   attempt_timeout: 30s
# contract:                       # /v1/webhooks: see docs/contract.md
#   enabled: true
#   cors_origins: []              # of browsers
#   heartbeat: 15s                # of its stream
#   rate_capacity: 100            # requests of a tenant at once
#   rate_refill: 10               # and how many come back in a second
# conditions:                     # when operational webhooks say that something is wrong
#   refused_share: 50             # percent of a source's requests within a minute, for their signature
#   refused_count: 20             # and at least so many
#   free_space: 1GiB              # of the data folder's disk
#   lagging: 5m                   # age of the oldest event that an endpoint has not been given
#   certificate_days: 14          # that a listener's certificate is still valid
# traces:                         # spans to an OpenTelemetry collector; without it there are none
#   endpoint: http://127.0.0.1:4318   # OTLP over HTTP: /v1/traces comes behind it
#   ratio: 0.01                   # of the traces that begin here
#   parent: true                  # a sender's traceparent says whether its trace is sampled
#   headers: { Authorization: "file:/run/secrets/collector" }
#   service_name: sluice
#   timeout: 10s                  # of one request to it

sources:
  - name: github                  # POST /in/github
    provider: github
    secrets: ["${SLUICE_EXAMPLE_SECRET}"]   # several while a secret rotates: any one may match

#  - name: zoom
#    provider: zoom
#    path: /webhooks/zoom/recording-completed
#    secrets: ["file:/run/secrets/zoom"]
#    durability: fsync            # or written, or memory: what an answer of 2xx promises
#    mode: enforce                # or observe: what fails its check is counted and kept, with its verdict
#    tolerance: 5m                # how old a signed timestamp may be
#    public_url: https://hooks.example.com
#    allow_addresses: provider    # or ["203.0.113.0/24"]; others are answered 403
#    client_certificate: { ca: partners.pem, names: [a.example.com], fingerprints: [] }   # a listener needs client_ca
#    rate_limit: { capacity: 100, per_second: 10, per_hour: 9000 }   # or token-bucket, or sliding-windows; else 429
#    verify_token: "${META_VERIFY_TOKEN}"   # what a challenge must repeat (Meta)
#    allowed_origins: ["events.example.com"]   # who may ask to send (CloudEvents)
#    body: 4MiB                   # this source's own limit
#    schema: file:event.schema.json         # what breaks it is answered 422; see docs/schemas.md
#    schemas: { meeting.ended: { required: [payload] } }   # the same for events of a type
#    answer: { status: 200, body: "" }      # what the sender hears after an event
#    handshakes:                  # how it tries the URL
#      - { on: head }
#      - { on: post, when: ["query:validationToken"], echo: "query:validationToken", body: "{echo}" }

#  - name: partner                # any scheme, as data
#    tenant: default              # whose it is; names are unique within a tenant
#    uid: src-partner             # an identity of your own: with it the source may be renamed
#    provider: generic
#    secrets: ["${PARTNER_SECRET}", { value: "${PARTNER_SECRET_OLD}", not_after: 2026-01-31T00:00:00Z }]
#    scheme: { algorithm: hmac-sha256, header: X-Signature, prefix: "sha256=", encoding: hex,
#              signed: "{timestamp}.{body}", timestamp: { header: X-Timestamp, unit: seconds, tolerance: 5m } }
#    event: { id: "header:X-Event-Id", type: "json:$.type", group: "json:$.account" }
#    dedup: { key: ["header:X-Event-Id", "json:$.source + json:$.id"], window: 24h }   # the first that is there

#  - name: internal               # no signature at all: say so
#    provider: generic
#    unverified: true

endpoints:
  - name: sink                    # `sluice sink` listens here
    url: http://127.0.0.1:9000/hooks
    secret: "${SLUICE_EXAMPLE_SECRET}"      # signs by Standard Webhooks; a list while it rotates
#   signature: standard-webhooks  # or svix, sha256, github, stripe, or { form: sha256, header: X-Signature, … }
#   headers: { X-Api-Key: "${BILLING_KEY}" }   # of its deliveries; values are secrets
#   authorization: { bearer: "${TOKEN}" }   # or { basic: { username: u, password: "${PASSWORD}" } }, or OAuth 2:
#   authorization: { oauth2: { token_url: "https://login.example/token", client_id: c, client_secret: "${SECRET}" } }
#   sources: [github]             # which sources; none = all
#   types: ["push", "pull_request.*"]       # which event types; none = all
#   channels: [project_1]         # of published events, those that share one of these; none = all
#   filter: { body: { $.data.amount: { $gte: 1000 } } }   # only events that say so; see docs/filters.md
#   concurrency: 16               # requests in flight; or { max: 64, min: 2, target: 500ms }
#   timeouts: { connect: 5s, head: 15s, total: 30s }
#   retry: { delays: [5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h], jitter: 0.1 }
#   retry: { preset: svix, budget: 0.1 }    # or standard-webhooks, ops-center, slack; retries ≤ a tenth of the firsts
#   retry: { backoff: { first: 5s, factor: 2, max: 1h, attempts: 10 } }
#   outcomes: { 404: retry, "4xx": dead }   # what answers mean; or default, standard-webhooks, ops-center
#   ordered: { key: "json:$.customer" }     # or group; or true: each delivery when the one before it is done
#   redact: { patterns: [email, ip], hash: [email], key: "${REDACT_KEY}" }   # or true: all patterns, masked
#   transform: [{ remove: [$.internal] }, { rename: { path: $.user.mail, to: contact } }]   # before it is sent
#   breaker: { failures: 5, cooldown: 60s, probes: 3 }   # or on: a dead endpoint is left alone, then probed
#   errors: { preset: contract, limit: { retries: 3, at_most: 30m } }   # by their class; or contract, integrations
#   rate: { per_second: 100, burst: 20 }    # or per_minute; what is over it waits
#   deadline: 24h                 # older deliveries die
#   delay: 10m                    # no delivery before its event is so old
#   shadow: { share: 0.1 }        # a tenth of the events, each once, never retried
#   coalesce: { key: "json:$.id", within: 5s }   # of what waits with one key only the newest goes
#   batch: { events: 100, within: 1s, bytes: 256KiB, format: json }   # several events in one request; or ndjson
#   disable_after: 5d             # of nothing but failures
#   tls: { ca: ca.pem, certificate: client.pem, key: client.key, crl: revoked.pem }   # of an https URL, where needed
#   forward_headers: true         # the provider's own headers go along
#   disabled: false               # keeps its place in the log and gets nothing

"""#
}
