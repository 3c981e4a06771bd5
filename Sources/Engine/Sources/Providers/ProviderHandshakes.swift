// The challenges of the providers, as data. Several providers may have the same one; a family's file names it.

import FastPath

extension HandshakeDefinition {
    /// `{"type":"url_verification","challenge":C}` → `{"challenge":C}`.
    package static let slackURLVerification: HandshakeDefinition = {
        var handshake = HandshakeDefinition(.body([.text(path: "$.type", equals: "url_verification")]))
        handshake.challenge = HandshakeChallenge("json:$.challenge", .printable)
        handshake.body = [.literal(#"{"challenge":""#), .challenge, .literal(#""}"#)]
        return handshake
    }()

    /// `{"event":"endpoint.url_validation","payload":{"plainToken":P}}` →
    /// `{"plainToken":P,"encryptedToken":hex(HMAC(secret,P))}`.
    package static let zoomURLValidation: HandshakeDefinition = {
        var handshake = HandshakeDefinition(.body([.text(path: "$.event", equals: "endpoint.url_validation")]))
        // Zoom's tokens have 22 characters.
        handshake.challenge = HandshakeChallenge("json:$.payload.plainToken", .opaque, bytesMax: 128)
        handshake.body = [
            .literal(#"{"plainToken":""#), .challenge, .literal(#"","encryptedToken":""#), .mac(.hex),
            .literal(#""}"#),
        ]
        return handshake
    }()

    /// An interaction of type 1 → `{"type":1}`. A webhook event of type 1 has an `event`, an interaction never.
    package static let discordPing: HandshakeDefinition = {
        var handshake = HandshakeDefinition(
            .body([.number(path: "$.type", equals: "1"), .absent(path: "$.event")]))
        handshake.body = [.literal(#"{"type":1}"#)]
        return handshake
    }()

    /// An interaction of type 4 asks for suggestions while a person types, and takes no later answer → none.
    package static let discordAutocomplete: HandshakeDefinition = {
        var handshake = HandshakeDefinition(
            .body([.number(path: "$.type", equals: "4"), .absent(path: "$.event")]))
        handshake.body = [.literal(#"{"type":8,"data":{"choices":[]}}"#)]
        return handshake
    }()

    /// A webhook event of type 0 → 204.
    package static let discordEventsPing: HandshakeDefinition = {
        var handshake = HandshakeDefinition(
            .body([.number(path: "$.type", equals: "0"), .absent(path: "$.event")]))
        handshake.status = 204
        return handshake
    }()

    /// `GET ?hub.mode=subscribe&hub.verify_token=T&hub.challenge=C` → C, as text.
    package static let metaSubscription: HandshakeDefinition = {
        var handshake = HandshakeDefinition(.get)
        handshake.requirements = [
            .parameter("hub.mode", equals: "subscribe"), .verifyToken(parameter: "hub.verify_token"),
        ]
        handshake.challenge = HandshakeChallenge("query:hub.challenge", .printable)
        handshake.contentType = .text
        handshake.body = [.challenge]
        handshake.refusalStatus = 403
        return handshake
    }()

    /// `GET ?crc_token=T` → `{"response_token":"sha256=" + base64(HMAC(secret,T))}`.
    package static let xChallenge: HandshakeDefinition = {
        var handshake = HandshakeDefinition(.get)
        handshake.challenge = HandshakeChallenge("query:crc_token", .opaque, bytesMax: 128)
        handshake.body = [.literal(#"{"response_token":"sha256="#), .mac(.base64), .literal(#""}"#)]
        handshake.refusalStatus = 400
        return handshake
    }()

    /// `GET ?challenge=C` → C, as text that no browser takes for a page.
    package static let dropboxChallenge: HandshakeDefinition = {
        var handshake = HandshakeDefinition(.get)
        handshake.challenge = HandshakeChallenge("query:challenge", .printable)
        handshake.contentType = .text
        handshake.body = [.challenge]
        handshake.refusalStatus = 400
        return handshake
    }()

    /// `OPTIONS` with `WebHook-Request-Origin` → that origin and any rate, when the source allows the origin. A refusal
    /// is an answer without `WebHook-Allowed-Origin` (HTTP 1.1 Web Hooks for Event Delivery, section 4).
    package static let cloudEventsOptions: HandshakeDefinition = {
        var handshake = HandshakeDefinition(.options)
        handshake.requirements = [.allowedOrigin]
        handshake.challenge = HandshakeChallenge("header:WebHook-Request-Origin", .origin)
        handshake.headers = [
            HandshakeHeader("Allow", [.literal("POST")]),
            HandshakeHeader("WebHook-Allowed-Origin", [.challenge]),
            HandshakeHeader("WebHook-Allowed-Rate", [.literal("*")], whenAsked: "WebHook-Request-Rate"),
        ]
        handshake.refusalStatus = 403
        return handshake
    }()

    /// `HEAD` → 200: the endpoint is there.
    package static let headCheck = HandshakeDefinition(.head)
}
