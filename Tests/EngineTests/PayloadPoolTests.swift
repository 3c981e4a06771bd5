// The payload memory and what is written into it.

import Engine
import FastPath
import Testing

@Test func blocksComeHomeAndGrowTogether() {
    let pool = PayloadPool(byteCount: 1 << 20)
    var generator = SeededGenerator(seed: 3)
    var leases: [(PayloadLease, UInt8, Int)] = []
    for _ in 0..<20_000 {
        if Bool.random(using: &generator), let lease = pool.allocate(Int.random(in: 0...40_000, using: &generator)) {
            let mark = UInt8.random(in: 0...255, using: &generator)
            let count = pool.bytes(of: lease)
            _ = [UInt8](repeating: mark, count: count).withView { pool.write($0, to: lease, at: 0) }
            leases.append((lease, mark, count))
        } else if !leases.isEmpty {
            let (lease, mark, count) = leases.remove(at: Int.random(in: 0..<leases.count, using: &generator))
            let view = pool.view(lease, start: 0, count: count)
            #expect(view[0] == mark && view[count / 2] == mark && view[count - 1] == mark)
            pool.free(lease)
        }
        #expect(pool.leasedBytes == leases.reduce(0) { $0 + $1.2 })
    }
    for (lease, _, _) in leases { pool.free(lease) }
    #expect(pool.leasedBytes == 0 && pool.leasedCount == 0)
    // One piece again.
    let all = pool.allocate(1 << 20)
    #expect(all != nil)
    #expect(pool.allocate(1) == nil)
}

@Test func aBlockLargerThanThePoolIsRefused() {
    let pool = PayloadPool(byteCount: 100_000)
    #expect(pool.byteCount == 65_536)
    #expect(pool.blockBytes(for: 65_536) == 65_536)
    #expect(pool.blockBytes(for: 65_537) == nil)
    #expect(pool.allocate(65_537) == nil)
    #expect(pool.blockBytes(for: 1025) == 2048)
}

@Test func aLeaseFreedTwiceTraps() async {
    await #expect(processExitsWith: .failure) {
        let pool = PayloadPool(byteCount: 4096)
        let lease = pool.allocate(10)!
        pool.free(lease)
        pool.free(lease)
    }
}

@Test func writingPastABlockTraps() async {
    await #expect(processExitsWith: .failure) {
        let pool = PayloadPool(byteCount: 4096)
        let lease = pool.allocate(10)!
        _ = [UInt8](repeating: 1, count: 1025).withView { pool.write($0, to: lease, at: 0) }
    }
}

private func forwarded(
    _ lines: String, _ forwarding: FieldForwarding = .all, type: String = "push", subject: String = "",
    configured: String = "", names: SignatureNames = .webhook
) -> String {
    let pool = PayloadPool(byteCount: 1 << 16)
    let lease = pool.allocate(8192)!
    let id = Array(EventID(logIdentity: 1, sequence: 2).text.utf8)
    let end = Array(lines.utf8).withView { lines in
        Array("git".utf8).withView { source in
            Array(type.utf8).withView { type in
                Array(subject.utf8).withView { subject in
                    Array(configured.utf8).withView { configured in
                        id.withView { id in
                            ForwardedFields.write(
                                received: lines, forwarding: forwarding, id: id, source: source, eventType: type,
                                clientSubject: subject, attempt: 12, configured: configured, names: names, to: pool,
                                lease: lease, at: 3)
                        }
                    }
                }
            }
        }
    }
    return pool.view(lease, start: 3, count: end - 3).text
}

private let ownLines =
    "webhook-id: evt_000000010000000000002\r\nSluice-Source: git\r\nSluice-Event-Type: push\r\nSluice-Attempt: 12\r\n"

@Test func forwardsTheProvidersFieldsAndNothingElse() {
    let own = ownLines.replacing("evt_000000010000000000002", with: EventID(logIdentity: 1, sequence: 2).text)
    let kept = "X-Hub-Signature-256: sha256=ab\r\nContent-Type: application/json\r\nContent-encoding: gzip\r\n"
    let dropped = [
        "Host: a", "HOST: a", "Content-Length: 3", "content-length:3", "Transfer-Encoding: chunked", "TE: trailers",
        "Trailer: x", "Connection: close", "Keep-Alive: 5", "Upgrade: h2c", "Proxy-Authorization: x", "proxy-foo: x",
        "Expect: 100-continue", "Authorization: Bearer x", "Cookie: a=b", "Webhook-Id: a", "webhook-timestamp: 1",
        "webhook-signature: v1,x", "Sluice-Source: fake", "sluice-attempt: 9",
        "sluice-forwarded-user-agent: fake", "Sluice-Client-Subject: CN=fake",
    ]
    for line in dropped {
        #expect(forwarded(line + "\r\n" + kept) == kept + own, "\(line)")
        #expect(forwarded(kept + line + "\r\n") == kept + own, "\(line)")
    }
    #expect(forwarded("") == own)
    #expect(forwarded("Connections: a\r\nCook: b\r\nHosts: c\r\n") == "Connections: a\r\nCook: b\r\nHosts: c\r\n" + own)
    #expect(forwarded("A: 1\r\nConnection: b, X-Hop ,a\r\nX-Hop: 2\r\nX-Hope: 3\r\n") == "X-Hope: 3\r\n" + own)
    #expect(
        forwarded(kept + "X-Content-Type: a\r\nContent-Language: de\r\n", .ofBody)
            == "Content-Type: application/json\r\nContent-encoding: gzip\r\n" + own)
}

@Test func anEndpointsOwnFieldsTakeThePlaceOfReceivedOnes() {
    let lines = forwarded(
        "x-one: theirs\r\nX-Two: kept\r\n", configured: "X-One: ours\r\nAuthorization: Token own\r\n")
    #expect(lines.hasPrefix("X-Two: kept\r\nX-One: ours\r\nAuthorization: Token own\r\nwebhook-id: "))
    #expect(!lines.contains("theirs"))
    #expect(forwarded("x-on: a\r\n", configured: "X-One: b\r\n").hasPrefix("x-on: a\r\nX-One: b\r\n"))
    // What never goes on does not, whether or not the endpoint has a field of its name; of User-Agent one word counts.
    #expect(!forwarded("Authorization: theirs\r\n", configured: "Authorization: own\r\n").contains("theirs"))
    #expect(forwarded("User-Agent: a\r\n").hasPrefix("Sluice-Forwarded-User-Agent: a\r\n"))
    #expect(!forwarded("User-Agent: a\r\n", configured: "user-agent: b\r\n").contains("Forwarded-User-Agent"))
}
@Test func anIdentityMayBeNamedAsSvixDoes() {
    let lines = forwarded("svix-signature: v1,fake\r\nA: 1\r\n", names: .svix)
    #expect(lines.hasPrefix("A: 1\r\nsvix-id: evt_") && !lines.contains("fake") && !lines.contains("webhook-id"))
    #expect(forwarded("svix-signature: v1,x\r\n").hasPrefix("svix-signature: v1,x\r\nwebhook-id: "))
}

@Test func theSubjectOfAClientsCertificateGoesAlongOnce() {
    let lines = forwarded("Sluice-Client-Subject: CN=fake\r\nA: 1\r\n", subject: "CN=billing,O=Acme")
    #expect(lines.hasPrefix("A: 1\r\nwebhook-id: "))
    #expect(lines.contains("\r\nSluice-Client-Subject: CN=billing,O=Acme\r\nSluice-Attempt: 12\r\n"))
    #expect(!lines.contains("fake"))
}

@Test func theProvidersUserAgentGoesUnderAnotherName() {
    let own = ownLines.replacing("evt_000000010000000000002", with: EventID(logIdentity: 1, sequence: 2).text)
    let renamed = "Sluice-Forwarded-User-Agent: GitHub-Hookshot/abc\r\n"
    #expect(
        forwarded("A: 1\r\nUser-Agent: GitHub-Hookshot/abc\r\nB: 2\r\n") == "A: 1\r\n" + renamed + "B: 2\r\n" + own)
    // One only: a second would make the room that is reckoned for it too small.
    #expect(forwarded("user-agent: GitHub-Hookshot/abc\r\nUser-Agent: x\r\n") == renamed + own)
    #expect(forwarded("Connection: user-agent\r\nUser-Agent: x\r\n") == own)
    #expect(forwarded("User-Agent: x\r\n", .ofBody) == own)
}

@Test func aTypeCannotInjectAField() {
    let lines = forwarded("", type: "a\r\nX-Evil: 1\u{0}\u{7F}é")
    #expect(lines.contains("Sluice-Event-Type: a??X-Evil: 1??é\r\n"))
    #expect(lines.split(separator: "\r\n").count == 4)
    let long = forwarded("", type: String(repeating: "x", count: 5000))
    #expect(long.utf8.count < 256 + 160)
}
