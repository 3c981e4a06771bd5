// The egress loop against real sockets: what arrives, what is reused, and what becomes of each kind of bad answer.
// Every test ends with `finish`, which stops the loop and asks that each order had exactly one outcome.

import FastPath
import Glibc
import Testing

@Suite struct EgressLoopTests {
    private static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    // MARK: what goes out

    @Test func deliversTheExactBytesSigned() throws {
        let server = ScriptedServer { _ in }
        let recording = ScriptedServer { [server] connection in
            guard let request = connection.readRequest() else { return }
            server.keep(request)
            connection.answer(202)
        }
        let body = Array("{\"a\":1,\"b\":\"\u{e9}\"}".utf8)
        let endpoint = recording.endpoint(secrets: [EgressLoopTests.secret], target: "/in?x=1&y=%20")
        let harness = try EgressHarness([endpoint])
        let outcome = try harness.outcome(harness.deliver(body, id: "evt_abc"))
        #expect(outcome.result == .answered && outcome.status == 202)
        #expect(outcome.retryAfterSeconds == .max && outcome.systemError == 0 && !outcome.lostReusedConnection)
        harness.finish()
        let request = try #require(server.kept.first)
        let stamp = try #require(request.field("webhook-timestamp"))
        #expect(stamp.allSatisfy { $0.isNumber } && abs(Int(stamp)! - time(nil)) < 100)
        let signature = try #require(request.field("webhook-signature"))
        let key = ReferenceDigest.base64Decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        let mac = ReferenceDigest.hmac(key: key, Array("evt_abc.\(stamp).".utf8) + body)
        #expect(signature == "v1," + ReferenceDigest.base64(mac))
        #expect(request.body == body)
        #expect(
            request.head == "POST /in?x=1&y=%20 HTTP/1.1\r\nHost: 127.0.0.1:\(recording.port)\r\n"
                + "User-Agent: Sluice/test\r\nContent-Length: \(body.count)\r\nwebhook-timestamp: \(stamp)\r\n"
                + "webhook-signature: \(signature)\r\nContent-Type: application/json\r\nwebhook-id: evt_abc\r\n\r\n")
    }
    @Test func signsWithEachSecretWhileOneRotates() throws {
        let secrets = [EgressLoopTests.secret, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        let server = ScriptedServer { _ in }
        let recording = ScriptedServer { connection in
            guard let request = connection.readRequest() else { return }
            server.keep(request)
            connection.answer()
        }
        let harness = try EgressHarness([recording.endpoint(secrets: secrets)])
        #expect(try harness.deliverAndWait().status == 200)
        harness.finish()
        let request = try #require(server.kept.first)
        let stamp = try #require(request.field("webhook-timestamp"))
        let expected = secrets.map { secret in
            let key = ReferenceDigest.base64Decode(String(secret.dropFirst(6)))
            return "v1," + ReferenceDigest.base64(ReferenceDigest.hmac(key: key, Array("evt_1.\(stamp).{}".utf8)))
        }
        #expect(request.field("webhook-signature") == expected.joined(separator: " "))
    }
    @Test func namesTimeAndSignatureAsSvixDoesWhereItIsAskedTo() throws {
        let server = ScriptedServer { _ in }
        let recording = ScriptedServer { connection in
            while let request = connection.readRequest() {
                server.keep(request)
                connection.answer()
            }
        }
        var named = recording.endpoint(secrets: [EgressLoopTests.secret])
        named.names = .svix
        var ahead = named
        ahead.isSignedAhead = true
        for endpoint in [named, ahead] {
            let harness = try EgressHarness([endpoint])
            #expect(try harness.deliverAndWait().status == 200)
            harness.finish()
        }
        let (first, second) = (try #require(server.kept.first), try #require(server.kept.last))
        let stamp = try #require(first.field("svix-timestamp"))
        let key = ReferenceDigest.base64Decode(String(EgressLoopTests.secret.dropFirst(6)))
        let mac = ReferenceDigest.hmac(key: key, Array("evt_1.\(stamp).{}".utf8))
        #expect(first.field("svix-signature") == "v1," + ReferenceDigest.base64(mac))
        #expect(first.field("webhook-signature") == nil && first.field("webhook-timestamp") == nil)
        #expect(second.field("svix-signature") == nil && second.field("svix-timestamp") == nil)
    }
    @Test func sendsAnEmptyBodyWithLengthZero() throws {
        let server = ScriptedServer { connection in
            guard let request = connection.readRequest() else { return }
            connection.answer(request.field("content-length") == "0" ? 200 : 400)
        }
        let harness = try EgressHarness([server.endpoint()])
        #expect(try harness.deliverAndWait([]).status == 200)
        harness.finish()
    }
    @Test func sendsABigBodyToASlowReaderInParts() throws {
        let body = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        let server = ScriptedServer(slowly: true) { connection in
            guard let request = connection.readRequest() else { return }
            connection.answer(request.body == body ? 200 : 400)
        }
        let harness = try EgressHarness([server.endpoint()])
        #expect(try harness.deliverAndWait(body).status == 200)
        harness.finish()
    }

    // MARK: connections

    @Test func reusesOneConnectionForOrdersInTurn() throws {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer() }
        }
        let harness = try EgressHarness([server.endpoint()])
        for _ in 0..<20 { #expect(try harness.deliverAndWait().status == 200) }
        harness.finish()
        #expect(server.acceptedCount == 1)
    }
    @Test func neverOpensMoreConnectionsThanTheEndpointAllows() throws {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil {
                usleep(1000)
                connection.answer()
            }
        }
        var endpoint = server.endpoint()
        endpoint.concurrency = 3
        let harness = try EgressHarness([endpoint])
        for _ in 0..<60 { harness.deliver() }
        harness.wait(for: 60)
        #expect(harness.outcomes.values.allSatisfy { $0.result == .answered })
        harness.finish()
        #expect(server.openCountMost <= 3 && server.acceptedCount == 3)
    }
    @Test func makesRoomForAnEndpointWhenIdleConnectionsOfOthersHoldAllSlots() throws {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer() }
        }
        var limits = EgressHarness.smallLimits
        limits.connectionCountMax = 2
        let harness = try EgressHarness((0..<4).map { _ in server.endpoint() }, limits: limits)
        for round in 0..<12 { #expect(try harness.deliverAndWait(endpoint: UInt32(round % 4)).status == 200) }
        for round in 0..<40 { harness.deliver(endpoint: UInt32(round % 4)) }
        harness.wait(for: 52)
        #expect(harness.outcomes.values.allSatisfy { $0.result == .answered })
        harness.finish()
    }
    @Test func dropsAConnectionThatThePeerClosedWhileIdle() throws {
        let server = ScriptedServer { connection in
            if connection.readRequest() != nil { connection.answer() }
        }
        let harness = try EgressHarness([server.endpoint()])
        for _ in 0..<5 {
            let outcome = try harness.deliverAndWait()
            // A close that crosses the next request is allowed to be a lost reused connection, and is told so.
            #expect(outcome.result == .answered || outcome.lostReusedConnection)
            usleep(20_000)
        }
        harness.finish()
        #expect(server.acceptedCount >= 3)
    }
    @Test func tellsThatAReusedConnectionDiedWithoutAByteOfAnswer() throws {
        let server = ScriptedServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.answer()
            // The second request is read and then the connection dies.
            _ = connection.readRequest()
        }
        let harness = try EgressHarness([server.endpoint()])
        #expect(try harness.deliverAndWait().result == .answered)
        let lost = try harness.deliverAndWait()
        #expect(lost.result == .connectionLost && lost.lostReusedConnection)
        harness.finish()
    }
    @Test func aFreshConnectionThatDiesIsNoLostReusedOne() throws {
        let server = ScriptedServer { connection in _ = connection.readRequest() }
        let harness = try EgressHarness([server.endpoint()])
        let lost = try harness.deliverAndWait()
        #expect(lost.result == .connectionLost && !lost.lostReusedConnection && lost.status == 0)
        harness.finish()
    }
    @Test func closesAnIdleConnectionAfterItsTime() throws {
        let closed = ScriptedServer { _ in }
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer() }
            closed.keep(ReceivedRequest(head: "", body: []))
        }
        var limits = EgressHarness.smallLimits
        limits.idleMillisMax = 20
        let harness = try EgressHarness([server.endpoint()], limits: limits)
        #expect(try harness.deliverAndWait().result == .answered)
        var patience = 3000
        while closed.kept.isEmpty, patience > 0 {
            usleep(10_000)
            patience -= 1
        }
        #expect(closed.kept.count == 1)
        harness.finish()
    }
    @Test func reachesUnixSocketsAndIPv6() throws {
        #expect(EgressAddress(literal: "::1", port: 80)?.family == .ipv6)
        #expect(EgressAddress(literal: "localhost", port: 80) == nil)
        #expect(EgressAddress(unixPath: String(repeating: "a", count: 108)) == nil)
        #expect(EgressAddress(unixPath: "") == nil)
        let missing = DestinationDescription(
            addresses: [try #require(EgressAddress(unixPath: "/nonexistent/sluice.sock"))], authority: "localhost",
            target: "/", secrets: [])
        let harness = try EgressHarness([missing])
        let outcome = try harness.deliverAndWait()
        #expect(outcome.result == .connectFailed && outcome.systemError == ENOENT)
        harness.finish()
    }

    // MARK: answers

    private func result(
        of script: @escaping @Sendable (ServerConnection) -> Void,
        change: (inout DestinationDescription) -> Void = { _ in }
    ) throws -> DeliveryOutcome {
        let server = ScriptedServer(script)
        var endpoint = server.endpoint()
        change(&endpoint)
        let harness = try EgressHarness([endpoint])
        let outcome = try harness.deliverAndWait()
        harness.finish()
        return outcome
    }
    /// Two orders, each answered with `text`; how many connections that took.
    private func connectionCount(answering text: String, closing: Bool = false) throws -> Int {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil {
                connection.send(text)
                if closing { return }
            }
        }
        let harness = try EgressHarness([server.endpoint()])
        for _ in 0..<2 { #expect(try harness.deliverAndWait().result == .answered, "\(text)") }
        harness.finish()
        return server.acceptedCount
    }
    @Test func keepsTheConnectionExactlyWhenTheAnswerEndsWhereItSays() throws {
        #expect(try connectionCount(answering: "HTTP/1.1 204 N\r\n\r\n") == 1)
        #expect(try connectionCount(answering: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc") == 1)
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
        #expect(try connectionCount(answering: chunked) == 1)
        let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        #expect(try connectionCount(answering: "HTTP/1.1 103 E\r\nLink: x\r\n\r\n" + empty) == 1)
        #expect(
            try connectionCount(answering: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") == 2)
        #expect(try connectionCount(answering: empty + empty) == 2)
        #expect(try connectionCount(answering: "HTTP/1.1 204 N\r\n\r\nx") == 2)
        #expect(try connectionCount(answering: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n") == 2)
        #expect(try connectionCount(answering: "HTTP/1.1 200 OK\r\n\r\nuntil the end", closing: true) == 2)
        let long = String(repeating: "x", count: 65_537)
        #expect(try connectionCount(answering: "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n\(long)") == 2)
        let fitting = String(repeating: "x", count: 65_536)
        #expect(try connectionCount(answering: "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n\(fitting)") == 1)
    }
    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/2 200\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ])
    func takesTheStatusAndNotTheConnectionWhenTheFramingIsInDoubt(text: String) throws {
        #expect(try connectionCount(answering: text) == 2)
        let outcome = try result { connection in
            guard connection.readRequest() != nil else { return }
            connection.send(text)
            connection.waitForClose()
        }
        #expect(outcome.result == .answered && outcome.status == 200)
    }
    @Test func refusesWhatIsNoHTTP() throws {
        let outcome = try result { connection in
            guard connection.readRequest() != nil else { return }
            connection.send("SSH-2.0-OpenSSH\r\n\r\n")
            connection.waitForClose()
        }
        #expect(outcome.result == .badAnswer && outcome.status == 0)
    }
    @Test func givesUpOnEndlessInterimAnswers() throws {
        let outcome = try result { connection in
            guard connection.readRequest() != nil else { return }
            for _ in 0..<5 { connection.send(String(repeating: "HTTP/1.1 102 P\r\n\r\n", count: 1000)) }
            connection.waitForClose()
        }
        #expect(outcome.result == .answerTooLarge)
        let patient = try result { connection in
            guard connection.readRequest() != nil else { return }
            for _ in 0..<100 { connection.send("HTTP/1.1 102 P\r\n\r\n") }
            connection.answer(201)
        }
        #expect(patient.result == .answered && patient.status == 201)
    }
    @Test func doesNotWaitForTheEndOfAHeadWithoutEnd() throws {
        let outcome = try result { connection in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\n")
            for index in 0..<1000 { connection.send("X-\(index): \(String(repeating: "y", count: 100))\r\n") }
            connection.waitForClose()
        }
        #expect(outcome.result == .answered && outcome.status == 200)
    }
    @Test func takesAnAnswerThatComesByteByByte() throws {
        let outcome = try result { connection in
            guard connection.readRequest() != nil else { return }
            let text =
                "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 120\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            for character in text {
                connection.send(String(character))
                usleep(100)
            }
        }
        #expect(outcome.result == .answered && outcome.status == 503 && outcome.retryAfterSeconds == 120)
    }
    @Test func turnsARetryAfterDateIntoSeconds() throws {
        let past = try result { connection in
            guard connection.readRequest() != nil else { return }
            connection.send(
                "HTTP/1.1 429 T\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n")
        }
        #expect(past.status == 429 && past.retryAfterSeconds == 0)
        let future = try result { connection in
            guard connection.readRequest() != nil else { return }
            connection.send(
                "HTTP/1.1 429 T\r\nRetry-After: Sat, 06 Nov 2094 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n")
        }
        #expect(future.retryAfterSeconds > 1_000_000 && future.retryAfterSeconds < .max)
    }
    @Test func tellsAnAnswerThatIsCutShort() throws {
        for (text, status) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 200), ("HTTP/1.1 2", 0), ("HTTP/1.1 500 ", 500),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200),
        ] {
            for resetting in [false, true] {
                let outcome = try result { connection in
                    guard connection.readRequest() != nil else { return }
                    connection.send(text)
                    if resetting {
                        usleep(5000)
                        connection.resetAtClose()
                    }
                }
                #expect(outcome.status == UInt16(status) && !outcome.lostReusedConnection)
                #expect(outcome.result == (status == 0 ? .connectionLost : .answered))
                #expect(outcome.systemError == (resetting && status == 0 ? ECONNRESET : 0))
            }
        }
    }
    @Test func takesAnEarlyAnswerToABigBody() throws {
        let server = ScriptedServer(slowly: true) { connection in
            connection.send("HTTP/1.1 413 T\r\nContent-Length: 0\r\n\r\n")
            connection.waitForClose()
        }
        let harness = try EgressHarness([server.endpoint()])
        let outcome = try harness.deliverAndWait([UInt8](repeating: 7, count: 8 << 20))
        #expect(outcome.result == .answered && outcome.status == 413)
        harness.finish()
    }

    // MARK: time-outs and failures

    @Test func timesOutWhileWaitingForTheHead() throws {
        let outcome = try result { connection in
            _ = connection.readRequest()
            connection.waitForClose()
        } change: {
            $0.headMillisMax = 30
        }
        #expect(outcome.result == .headTimedOut)
    }
    @Test func aBodyWithoutEndTakesTheTotalTimeAndItsStatusCounts() throws {
        let outcome = try result { connection in
            _ = connection.readRequest()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
            connection.waitForClose()
        } change: {
            $0.headMillisMax = 20_000
            $0.totalMillisMax = 60
        }
        #expect(outcome.result == .answered && outcome.status == 200)
    }
    @Test func timesOutInSendingAndKeepsTheBodyUntilTheKernelLetItGo() throws {
        let outcome = try result { connection in
            sleep(1)
            connection.waitForClose()
        } change: {
            $0.totalMillisMax = 60
        }
        #expect(outcome.result == .totalTimedOut || outcome.result == .headTimedOut)
        let server = ScriptedServer(slowly: true) { _ in usleep(400_000) }
        var endpoint = server.endpoint()
        endpoint.totalMillisMax = 60
        let harness = try EgressHarness([endpoint])
        let big = try harness.deliverAndWait([UInt8](repeating: 7, count: 16 << 20))
        #expect(big.result == .totalTimedOut)
        harness.finish()
    }
    @Test func timesOutInConnecting() throws {
        // A listener whose queue is full takes no more connections, and says nothing.
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                precondition(bind(listener, generic, length) == 0 && listen(listener, 0) == 0)
                precondition(getsockname(listener, generic, &length) == 0)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        var endpoint = DestinationDescription(
            addresses: [try #require(EgressAddress(literal: "127.0.0.1", port: port))], authority: "x", target: "/",
            secrets: [])
        endpoint.connectMillisMax = 80
        endpoint.headMillisMax = 80
        endpoint.concurrency = 4
        let harness = try EgressHarness([endpoint])
        for _ in 0..<4 { harness.deliver() }
        harness.wait(for: 4)
        let results = harness.outcomes.values.map(\.result)
        #expect(results.contains(.connectTimedOut))
        #expect(results.allSatisfy { $0 == .connectTimedOut || $0 == .headTimedOut })
        harness.finish()
        close(listener)
    }
    @Test func tellsARefusedConnect() throws {
        let server = ScriptedServer { _ in }
        let endpoint = server.endpoint()
        server.stop()
        let harness = try EgressHarness([endpoint])
        let outcome = try harness.deliverAndWait()
        #expect(outcome.result == .connectFailed && outcome.systemError == ECONNREFUSED)
        harness.finish()
    }
    @Test func aSilentEndpointDelaysNoOther() throws {
        let silent = ScriptedServer { connection in connection.waitForClose() }
        let quick = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer() }
        }
        let harness = try EgressHarness([silent.endpoint(), quick.endpoint()])
        for _ in 0..<50 { harness.deliver(endpoint: 0) }
        for _ in 0..<100 { harness.deliver(endpoint: 1) }
        harness.wait(for: 100)
        #expect(harness.outcomes.values.allSatisfy { $0.token > 50 && $0.result == .answered })
        harness.finish()
        #expect(harness.outcomes.values.filter { $0.result == .abandoned }.count == 50)
    }

    // MARK: pools, destinations and stop

    @Test func abandonsRequestsForPoolsThatItDoesNotHave() throws {
        let server = ScriptedServer { _ in }
        let harness = try EgressHarness([server.endpoint()])
        harness.deliver(pool: 16)
        harness.deliver(pool: .max)
        harness.wait(for: 2)
        #expect(harness.outcomes.values.allSatisfy { $0.result == .abandoned })
        harness.finish()
    }
    @Test func aNewDestinationKeepsTheConnectionsThatLeadToTheSamePlace() throws {
        let server = ScriptedServer { connection in
            while let request = connection.readRequest() {
                connection.answer(request.head.hasPrefix("POST /new ") ? 201 : 200)
            }
        }
        let closed = ScriptedServer { _ in }
        let other = ScriptedServer { [closed] connection in
            while connection.readRequest() != nil { connection.answer(202) }
            closed.keep(ReceivedRequest(head: "", body: []))
        }
        let harness = try EgressHarness([server.endpoint()])
        #expect(try harness.deliverAndWait().status == 200)
        // Path and secrets may change under a kept connection.
        try harness.replace(0, with: server.endpoint(secrets: [EgressLoopTests.secret], target: "/new"))
        #expect(try harness.deliverAndWait().status == 201)
        #expect(server.acceptedCount == 1)
        try harness.replace(0, with: other.endpoint())
        #expect(try harness.deliverAndWait().status == 202)
        // Back again: what led elsewhere is closed, not kept for later.
        try harness.replace(0, with: server.endpoint())
        #expect(try harness.deliverAndWait().status == 200)
        #expect(server.acceptedCount == 2 && other.acceptedCount == 1)
        var patience = 3000
        while closed.kept.isEmpty, patience > 0 {
            usleep(10_000)
            patience -= 1
        }
        #expect(closed.kept.count == 1)
        harness.finish()
    }
    @Test func aBusyConnectionOfTheOldPlaceIsClosedBehindItsAnswer() throws {
        let gate = ScriptedServer { _ in }
        let old = ScriptedServer { [gate] connection in
            while connection.readRequest() != nil {
                while gate.kept.isEmpty { usleep(1000) }
                connection.answer(200)
            }
        }
        let new = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer(201) }
        }
        let harness = try EgressHarness([old.endpoint()])
        let first = harness.deliver()
        while old.acceptedCount == 0 { usleep(1000) }
        try harness.replace(0, with: new.endpoint())
        let second = harness.deliver()
        harness.wait(for: 1)
        #expect(harness.outcomes[second]?.status == 201 && harness.outcomes[first] == nil)
        gate.keep(ReceivedRequest(head: "", body: []))
        harness.wait(for: 2)
        #expect(harness.outcomes[first]?.status == 200)
        for _ in 0..<5 { #expect(try harness.deliverAndWait().status == 201) }
        #expect(old.acceptedCount == 1 && new.acceptedCount == 1)
        harness.finish()
    }
    @Test func refusesDestinationsThatWouldBreakTheHead() throws {
        let server = ScriptedServer { _ in }
        func make(_ change: (inout DestinationDescription) -> Void) throws {
            var description = server.endpoint()
            change(&description)
            _ = try Destination(description, version: "1", requestHeadBytesMax: 2048)
        }
        #expect(throws: DestinationError.badText) { try make { $0.target = "/a b" } }
        #expect(throws: DestinationError.badText) { try make { $0.target = "a" } }
        #expect(throws: DestinationError.badText) { try make { $0.authority = "a\r\nX: y" } }
        #expect(throws: DestinationError.badText) { try make { $0.method = "POST /x" } }
        #expect(throws: DestinationError.noAddress) { try make { $0.addresses = [] } }
        do {
            try make { $0.target = "/" + String(repeating: "x", count: 4000) }
            Issue.record("took a head of over 4000 bytes")
        } catch DestinationError.headTooLong(let bytes, let max) { #expect(bytes > 4000 && max == 2048) }
        do {
            try make { $0.secrets = ["whsec_!"] }
            Issue.record("took a secret that is none")
        } catch DestinationError.badSecret {}
    }
    @Test func stopAbandonsWhatIsInFlightAndAnswersForEachOrderOnce() throws {
        let server = ScriptedServer { connection in
            guard connection.readRequest() != nil else { return }
            if connection.index % 2 == 0 { connection.answer() }
            connection.waitForClose()
        }
        for round in 0..<5 {
            let harness = try EgressHarness([server.endpoint()])
            let body = [UInt8](repeating: 1, count: round == 4 ? 4 << 20 : 100)
            for _ in 0..<40 { harness.deliver(body) }
            usleep(UInt32(round) * 2000)
            harness.finish()
            #expect(harness.outcomes.values.contains { $0.result == .abandoned })
            #expect(harness.outcomes.values.allSatisfy { $0.result == .abandoned || $0.result == .answered })
        }
    }
    @Test func keepsOutcomesThatFindTheRingFull() throws {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer() }
        }
        let harness = try EgressHarness([server.endpoint()], ringCapacity: 4)
        for _ in 0..<8 { harness.deliver() }
        usleep(30_000)
        for _ in 0..<100 { harness.deliver(); harness.wait(for: Int(harness.nextToken) - 8) }
        harness.wait(for: 108)
        #expect(harness.outcomes.values.allSatisfy { $0.result == .answered })
        harness.finish()
    }
}
