// What a redaction finds and what it leaves, pattern by pattern; JSON stays JSON; a second pass changes nothing; no
// bytes break it.
import FastPath
import TestSupport
import Testing

private func redacted(_ text: String, _ redactor: Redactor = Redactor(.all)) -> String {
    var pass = RedactionPass(redactor)
    let bytes = Array(text.utf8)
    return String(decoding: bytes.withView { pass.text($0) } ?? bytes, as: UTF8.self)
}
private func body(_ text: String, _ redactor: Redactor = Redactor(.all)) -> String {
    var pass = RedactionPass(redactor)
    let bytes = Array(text.utf8)
    return String(decoding: bytes.withView { pass.value($0) } ?? bytes, as: UTF8.self)
}

@Suite struct RedactionTests {
    @Test(arguments: [
        ("mail ann.b+c@mail.example.org now", "mail [REDACTED_EMAIL] now"),
        ("<ann@b.co>, 'bob@c.de'.", "<[REDACTED_EMAIL]>, '[REDACTED_EMAIL]'."),
        ("Jürgen@müller.example!", "[REDACTED_EMAIL]!"),
        ("xoxb-12-ab-Cd end", "[REDACTED_SLACK_TOKEN] end"),
        ("(xoxp-1)", "([REDACTED_SLACK_TOKEN])"),
        ("ghp_16C7e42F292c69 gho_1 ghu_1", "[REDACTED_GITHUB_TOKEN] [REDACTED_GITHUB_TOKEN] [REDACTED_GITHUB_TOKEN]"),
        ("ghs_1 ghr_1", "[REDACTED_GITHUB_TOKEN] [REDACTED_GITHUB_TOKEN]"),
        ("github_pat_11AA_bb!", "[REDACTED_GITHUB_TOKEN]!"),
        ("glpat-x_Y-9z.", "[REDACTED_GITLAB_TOKEN]."),
        ("https://ann:pw@h.example/p?q=1 x", "[REDACTED_URL] x"),
        ("see postgres://u:p@10.0.0.1:5432/db.", "see [REDACTED_URL]."),
        ("https://h/p?a=1&access_token=abc&b=2", "[REDACTED_URL]"),
        ("https://h/p?token=xoxb-1-2", "[REDACTED_URL]"),
        ("https://h/cb?next=https://u:p@i/", "[REDACTED_URL]"),
        ("Authorization: Bearer abc.DEF-1_2~+/==", "Authorization: [REDACTED_TOKEN]"),
        ("bearer xyz, basic dXNlcjpwYXNz", "[REDACTED_TOKEN], [REDACTED_TOKEN]"),
        ("Bearer ghp_abc", "Bearer [REDACTED_GITHUB_TOKEN]"),
        ("api_key=abc; rest", "[REDACTED_API_KEY]; rest"),
        ("X-Api-Key: a/b+c= end", "[REDACTED_API_KEY] end"),
        ("token: 'a b c'", "[REDACTED_API_KEY]'"),
        ("token: xoxb-1-2", "token: [REDACTED_SLACK_TOKEN]"),
        ("{apiKey:\"q w\"}", "{[REDACTED_API_KEY]\"}"),
        ("secret=s3 client_secret = t4", "[REDACTED_SECRET] [REDACTED_SECRET]"),
        ("db.password: hunter2, x", "[REDACTED_SECRET], x"),
        ("\\\"password\\\":\\\"hun\\\"", "\\\"[REDACTED_SECRET]\\\""),
        ("password=[hunter2] password=[REDACTED_X]y", "[REDACTED_SECRET]] [REDACTED_SECRET]"),
        ("from 10.0.0.1, 192.168.255.255:80/24", "from [REDACTED_IP], [REDACTED_IP]:80/24"),
        ("2001:db8::1 ::1 fe80::1%eth0", "[REDACTED_IP] [REDACTED_IP] [REDACTED_IP]"),
        ("at fe80::1.", "at [REDACTED_IP]."),
        ("ghp_abc7.10.0.0.1", "[REDACTED_GITHUB_TOKEN].[REDACTED_IP]"),
        ("1:2:3:4:5:6:7:8/64", "[REDACTED_IP]/64"),
        ("[::ffff:10.1.2.3]:443", "[[REDACTED_IP]]:443"),
        ("namespace: kube-system; x", "namespace: [REDACTED_NAMESPACE]; x"),
        ("namespace=\"a.b\"", "namespace=\"[REDACTED_NAMESPACE]\""),
        ("GET /api/v1/namespaces/prod/pods", "GET /api/v1/namespaces/[REDACTED_NAMESPACE]/pods"),
        ("in namespace \"prod\"", "in namespace \"[REDACTED_NAMESPACE]\""),
        ("get --namespace dev", "get --namespace [REDACTED_NAMESPACE]"),
    ])
    func finds(_ text: String, _ expected: String) {
        #expect(redacted(text) == expected)
        #expect(redacted(expected) == expected)
    }
    @Test(arguments: [
        "", "@", "a@", "@b.co", "a@b", "a@b.c", "a @b.co", "1@2.3",
        "xoxb", "xoxb-", "axoxb-1", "XOXB-1", "ghp_", "xghp_1", "ghq_1", "github_pat_", "glpat-", "aglpat-1",
        "https://h.example/p?q=1&page=2", "https://h/a@b", "://u:p@h", "https://h/?token=&b=1", "http://",
        "Basic plan", "Basic Information.", "bearer", "basically dXNlcjpwYXNz", "forbearer x",
        "token", "token:", "api_key=", "tokens=5", "keyed: 1", "compass: north", "a_token_count: 5", "token://x",
        "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4a", "v01.2.3.4", "12:30:05", "aa:bb:cc:dd:ee:ff", "std::string",
        "::", "1:2:3:4:5:6:7:8:9", "1::2::3", "the namespace is full", "namespace:", "/namespaces/",
    ])
    func leaves(_ text: String) { #expect(redacted(text) == text) }

    @Test func whatOverlapsIsOneReplacement() {
        #expect(redacted("password=a@b.co") == "[REDACTED_SECRET]")
        #expect(redacted("token: Bearer abc") == "[REDACTED_TOKEN]")
        #expect(redacted("token=xoxb-1!tail") == "[REDACTED_SLACK_TOKEN]")
    }
    @Test func onlyWhatIsAskedFor() {
        let redactor = Redactor(RedactionKinds([.email]))
        #expect(redacted("a@b.co 10.0.0.1 password=x", redactor) == "[REDACTED_EMAIL] 10.0.0.1 password=x")
    }
    @Test func whatIsAllowedStays() {
        let redactor = Redactor(
            .all, allowed: [AllowedText("kube-*"), AllowedText("*@ours.example"), AllowedText("10.0.0.1")])
        #expect(redacted("a@ours.example a@b.co", redactor) == "a@ours.example [REDACTED_EMAIL]")
        #expect(redacted("10.0.0.1 10.0.0.2", redactor) == "10.0.0.1 [REDACTED_IP]")
        #expect(
            redacted("namespace=kube-system namespace=prod", redactor)
                == "namespace=kube-system namespace=[REDACTED_NAMESPACE]")
        #expect(body("{\"namespace\":\"kube-x\",\"ns\":1}", redactor) == "{\"namespace\":\"kube-x\",\"ns\":1}")
    }
    @Test func hashesAreStableAndKeyed() {
        let hashed = RedactionKinds([.namespace, .email])
        let plain = Redactor(.all, hashed: hashed)
        // The first eight digits of the SHA-256 of "prod".
        let digest = TextEncoding.hex(Digest.sha256(Array("prod".utf8))).prefix(8)
        let once = redacted("namespace=prod a@b.co a@b.co c@d.ef", plain)
        #expect(once.hasPrefix("namespace=ns-\(digest) "))
        let mails = once.split(separator: " ").dropFirst().map(String.init)
        #expect(mails[0] == mails[1] && mails[1] != mails[2] && mails[0].hasPrefix("[REDACTED_EMAIL_"))
        #expect(redacted(once, plain) == once)
        let withKey = Redactor(.all, hashed: hashed, key: Array("0123456789abcdef".utf8))
        let keyed = redacted("namespace=prod a@b.co", withKey)
        #expect(keyed != redacted("namespace=prod a@b.co", plain) && keyed.hasPrefix("namespace=ns-"))
    }
    @Test func expressionsOfOnesOwn() throws {
        let order = CustomRedaction(
            try LinearPattern("ORD-[0-9]+"), replacement: Array("[REDACTED_ORDER]".utf8), hashLabel: nil)
        let redactor = Redactor(RedactionKinds([.email]), custom: [order])
        #expect(redacted("ORD-12 a@b.co ORD-3", redactor) == "[REDACTED_ORDER] [REDACTED_EMAIL] [REDACTED_ORDER]")
        #expect(body("{\"id\":\"ORD-12\\u0031\"}", redactor) == "{\"id\":\"[REDACTED_ORDER]\"}")
        // Too many for one text: what is behind them goes too.
        let many = String(repeating: "ORD-1 ", count: 5000) + "end"
        let out = redacted(many, redactor)
        #expect(!out.contains("ORD-1") && !out.contains("end") && out.utf8.count < many.utf8.count * 4)
    }
    @Test func anExpressionThatReadsToTheEndForEachFindIsStopped() throws {
        let slow = CustomRedaction(
            try LinearPattern("A[^Z]*Z|A"), replacement: Array("[REDACTED_A]".utf8), hashLabel: nil)
        let redactor = Redactor(RedactionKinds([]), custom: [slow])
        let out = redacted(String(repeating: "A", count: 200_000), redactor)
        // It finds an end in no round, so that nothing of the text is left.
        #expect(out == "[REDACTED_SECRET]")
        // It is of the body: of many texts as of one.
        let texts = (0..<400).map { _ in "\"\(String(repeating: "A", count: 2000))\"" }
        let many = body("[\(texts.joined(separator: ","))]", redactor)
        #expect(many.utf8.count < 100_000 * "[REDACTED_A]".utf8.count)
        let left = many.replacing("[REDACTED_A]", with: "").replacing("[REDACTED_SECRET]", with: "")
        #expect(!left.contains("A"))
    }
    @Test func countsWhatItReplaces() {
        var pass = RedactionPass(Redactor(.all))
        _ = Array("a@b.co c@d.ef 10.0.0.1".utf8).withView { pass.text($0) }
        #expect(pass.counts[Int(RedactionKind.email.rawValue)] == 2)
        #expect(pass.counts[Int(RedactionKind.ip.rawValue)] == 1)
    }

    // MARK: JSON

    @Test(arguments: [
        (#"{ "a" : "x a@b.co" , "n":1.50e2 }"#, #"{ "a" : "x [REDACTED_EMAIL]" , "n":1.50e2 }"#),
        (#"{"password":"hunter2","x":"y"}"#, #"{"password":"[REDACTED_SECRET]","x":"y"}"#),
        (#"{"passwo\u0072d":"a\"b"}"#, #"{"passwo\u0072d":"[REDACTED_SECRET]"}"#),
        (
            #"{"token":["a",{"b":"c"},7,true,null]}"#,
            #"{"token":["[REDACTED_API_KEY]",{"b":"[REDACTED_API_KEY]"},"[REDACTED_API_KEY]",true,null]}"#
        ),
        (
            #"{"password":{"value":"hunter2","n":7,"x":[{"namespace":"q"}]},"a":"b"}"#,
            #"{"password":{"value":"[REDACTED_SECRET]","n":"[REDACTED_SECRET]","#
                + #""x":[{"namespace":"[REDACTED_SECRET]"}]},"a":"b"}"#
        ),
        (
            #"{"secret":[{"v":"x","token":"y"}],"b":{"v":"x"}}"#,
            #"{"secret":[{"v":"[REDACTED_SECRET]","token":"[REDACTED_API_KEY]"}],"b":{"v":"x"}}"#
        ),
        (
            #"{"namespace":{"id":"x","namespace":"prod"},"v":"x"}"#,
            #"{"namespace":{"id":"x","namespace":"[REDACTED_NAMESPACE]"},"v":"x"}"#
        ),
        (#"{"clientSecret":12345}"#, #"{"clientSecret":"[REDACTED_SECRET]"}"#),
        (
            #"{"token":"ghp_abc","t":"q\n\"a@b.co\""}"#,
            #"{"token":"[REDACTED_GITHUB_TOKEN]","t":"q\n\"[REDACTED_EMAIL]\""}"#
        ),
        (#"["a\u0040b.co"]"#, #"["[REDACTED_EMAIL]"]"#),
        (#"{"inner":"{\"password\":\"x\"}"}"#, #"{"inner":"{\"[REDACTED_SECRET]\"}"}"#),
        ("{\"a\":\"a@b.co\"}\n{\"a\":\"10.0.0.1\"}\n", "{\"a\":\"[REDACTED_EMAIL]\"}\n{\"a\":\"[REDACTED_IP]\"}\n"),
        (#""a@b.co""#, #""[REDACTED_EMAIL]""#),
        (#"{"a@b.co":1}"#, #"{"a@b.co":1}"#),
        (#"{"a":"a@b.co""#, #"{"a":"[REDACTED_EMAIL]""#),
        (
            #"{"metadata":{"namespace":"prod"},"namespaces":["a"]}"#,
            #"{"metadata":{"namespace":"[REDACTED_NAMESPACE]"},"namespaces":["[REDACTED_NAMESPACE]"]}"#
        ),
        (
            #"{"secret":"","password":null,"token":"[REDACTED_API_KEY]"}"#,
            #"{"secret":"","password":null,"token":"[REDACTED_API_KEY]"}"#
        ),
    ])
    func keepsJSON(_ text: String, _ expected: String) {
        #expect(body(text) == expected)
        #expect(body(expected) == expected)
    }
    @Test func aReplacementOfOnesOwnIsEscaped() throws {
        let digits = CustomRedaction(
            try LinearPattern("[0-9]+"), replacement: Array(#"say "x""#.utf8), hashLabel: nil)
        let redactor = Redactor(.all, custom: [digits])
        #expect(body(#"{"token":12345,"a":"n 7"}"#, redactor) == #"{"token":"say \"x\"","a":"n say \"x\""}"#)
    }
    @Test func expressionsThatFindEachOthersReplacementsLeaveNothing() throws {
        func custom(_ pattern: String, _ replacement: String) throws -> CustomRedaction {
            CustomRedaction(try LinearPattern(pattern), replacement: Array(replacement.utf8), hashLabel: nil)
        }
        let redactor = Redactor(.all, custom: [try custom("ping", "pong"), try custom("pong", "ping")])
        #expect(redacted("a ping b", redactor) == "[REDACTED_SECRET]")
        // One that comes to its end in time is left as it is.
        let once = Redactor(.all, custom: [try custom("ping", "pong"), try custom("pong", "x")])
        #expect(redacted("a ping b", once) == "a x b")
        var pass = RedactionPass(once)
        _ = Array("a ping b ping".utf8).withView { pass.text($0) }
        #expect(pass.counts[Int(RedactionKind.custom.rawValue)] == 2)
    }
    @Test func halfASurrogatePairIsNoTrap() {
        #expect(body(#"{"a":"\ud800 a@b.co"}"#) == "{\"a\":\"\u{FFFD} [REDACTED_EMAIL]\"}")
        #expect(body(#"{"a":"\ud800"}"#) == #"{"a":"\ud800"}"#)
    }
    @Test func whatIsTooDeepIsReadAsText() {
        let deep = String(repeating: "[", count: 600) + "\"a@b.co\"" + String(repeating: "]", count: 600)
        #expect(body(deep).contains("[REDACTED_EMAIL]"))
    }

    // MARK: forms and field lines

    @Test func formsAreReadAsTheyAreDecoded() {
        var pass = RedactionPass(Redactor(.all))
        func form(_ text: String) -> String {
            let bytes = Array(text.utf8)
            return String(decoding: bytes.withView { pass.form($0) } ?? bytes, as: UTF8.self)
        }
        #expect(form("a=x%40y.co&b=2&c") == "a=%5BREDACTED_EMAIL%5D&b=2&c")
        #expect(form("password=a+b&x=") == "password=%5BREDACTED_SECRET%5D&x=")
        #expect(
            form("payload=%7B%22token%22%3A%22q%22%7D")
                == "payload=%7B%22token%22%3A%22%5BREDACTED_API_KEY%5D%22%7D")
        #expect(form("a=1&b=%zz&") == "a=1&b=%zz&")
    }
    @Test func fieldLinesKeepTheirNames() {
        var pass = RedactionPass(Redactor(.all))
        let lines = "X-Api-Key: abc\r\nX-From: a@b.co\r\nX-Plain: 1\r\nX-Forwarded-For: 10.0.0.1, ::1\r\n"
        let out = Array(lines.utf8).withView { pass.fields($0) } ?? []
        #expect(
            String(decoding: out, as: UTF8.self)
                == "X-Api-Key: [REDACTED_API_KEY]\r\nX-From: [REDACTED_EMAIL]\r\nX-Plain: 1\r\n"
                + "X-Forwarded-For: [REDACTED_IP], [REDACTED_IP]\r\n")
        #expect(Array("A: b\r\nC: d".utf8).withView { pass.fields($0) } == nil)
    }

    // MARK: properties

    private static let pieces = [
        "a@b.co", "xoxb-1-2", "ghp_abc", "glpat-x", "https://u:p@h/", "https://h/?token=1", "Bearer q", "Basic aB3=",
        "api_key=1", "password: x", "\"secret\":\"y\"", "10.0.0.1", "fe80::1", "namespace=n", "/namespaces/p", " ", ",",
        "=", ":", "-", "_", ".", "/", "\"", "'", "[", "]", "{", "}", "\\", "\n", "é", "\u{0}", "w", "7",
        "[REDACTED_X]", "ns-01234567", "@", "::", "token", "\\u0041", "\\\"",
    ]
    private static func piece(_ random: inout SeededRandom) -> String {
        pieces[Int(random.next() % UInt64(pieces.count))]
    }
    private static let hashing = Redactor(
        .all, hashed: RedactionKinds(RedactionKind.builtIn), key: Array("a key of sixteen".utf8))

    @Test func aSecondPassChangesNothing() {
        var random = SeededRandom(7)
        for _ in 0..<20_000 {
            let count = Int(random.next() % 9) + 1
            let text = (0..<count).map { _ in Self.piece(&random) }.joined()
            for redactor in [Redactor(.all), Self.hashing] {
                let once = redacted(text, redactor)
                #expect(redacted(once, redactor) == once, "\(text.debugDescription)")
                #expect(once.utf8.count <= 16 * text.utf8.count + 64)
            }
        }
    }
    @Test func redactedJSONIsJSON() {
        var random = SeededRandom(11)
        func value(_ depth: Int) -> String {
            switch random.next() % (depth > 3 ? 3 : 5) {
            case 0: return "\(Int(random.next() % 1000))"
            case 1: return ["true", "false", "null", "-0.5e+3"][Int(random.next() % 4)]
            case 2:
                let text = (0..<Int(random.next() % 5)).map { _ in Self.piece(&random) }
                return String(decoding: JSONEdit.quoted(Array(text.joined().utf8)), as: UTF8.self)
            case 3:
                let elements = (0..<Int(random.next() % 4)).map { _ in value(depth + 1) }
                return "[" + elements.joined(separator: " ,") + "]"
            default:
                let names = ["a", "token", "password", "namespace", "x y"]
                let members = (0..<Int(random.next() % 4)).map { _ in
                    "\"\(names[Int(random.next() % 5)])\": \(value(depth + 1))"
                }
                return "{" + members.joined(separator: ",") + "}"
            }
        }
        for _ in 0..<10_000 {
            let text = value(0)
            #expect(JSONEdit(Array(text.utf8)) != nil)
            for redactor in [Redactor(.all), Self.hashing] {
                let once = body(text, redactor)
                #expect(JSONEdit(Array(once.utf8)) != nil, "\(text) became \(once)")
                #expect(body(once, redactor) == once, "\(text)")
            }
        }
    }
    @Test func noBytesBreakIt() {
        var random = SeededRandom(13)
        let marks = Array("@:=-_./ \"'\\{}[],xoghp1af".utf8)
        for round in 0..<20_000 {
            let bytes = random.bytes(Int(random.next() % 80)).map { byte in
                round % 2 == 0 ? byte : marks[Int(byte) % marks.count]
            }
            var pass = RedactionPass(Self.hashing)
            _ = bytes.withView { pass.value($0) }
            _ = bytes.withView { pass.form($0) }
            _ = bytes.withView { pass.fields($0) }
        }
    }
    /// A mark of each kind that would look far, many times over.
    @Test(arguments: [
        "a_token=", "xoxb-", "http://", "glpat-", "a@", "password:\"", "namespace=", "1:", "bearer ", "1.",
    ])
    func longTextsCostTheirLength(_ piece: String) {
        let text = String(repeating: piece, count: 400_000 / piece.utf8.count)
        let once = redacted(text)
        #expect(once.utf8.count < 16 * text.utf8.count)
    }
}
