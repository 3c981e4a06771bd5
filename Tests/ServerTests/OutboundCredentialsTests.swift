// The credentials in the URL of an endpoint: who sees them, where they are kept, and when they end.
import Engine
import Server
import Testing

@Suite struct OutboundCredentialsTests {
    private func settings(user: String = "user:geheim") -> EndpointConfiguration {
        var settings = EndpointConfiguration()
        settings.url = "http://example.com/a"
        settings.extras.userInformation = user
        settings.extras.about = "words"
        return settings
    }

    @Test(arguments: KeyRole.allCases)
    func areShownToThoseWhoMaySetThem(_ role: KeyRole) {
        let principal = Principal(name: "key_1", role: role, tenant: nil)
        let caller = Caller(principal: principal, requestID: "r")
        let whole = [KeyRole.admin, .platform].contains(role)
        #expect(
            OutboundURL.shown(settings(), to: caller)
                == (whole ? "http://user:geheim@example.com/a" : "http://***@example.com/a"))
        #expect(OutboundURL.shown(settings(user: ""), to: caller) == "http://example.com/a")
    }
    @Test func endWithTheURLThatTheyWereGivenIn() {
        var same = settings(user: "")
        same.extras.about = ""
        same.channels = ["eu"]
        same.keepWhatIsHidden(of: settings())
        #expect(same.extras == settings().extras && same.channels == ["eu"])
        var moved = EndpointConfiguration()
        moved.url = "http://example.com/b"
        moved.keepWhatIsHidden(of: settings())
        #expect(moved.extras.userInformation == "" && moved.extras.about == "words")
    }
    @Test func anAnswerThatHasThemIsKeptInMemoryAlone() {
        var draft = SvixEndpointDraft()
        draft.url = "http://user:geheim@example.com/a"
        func reply() -> SvixReply {
            SvixReply(made: SvixEndpoint(id: "ep_1", settings: draft, createdMillis: 1, updatedMillis: 1))
        }
        #expect(reply().status == 201 && reply().isSecret)
        draft.url = "http://example.com/a@b"
        #expect(!reply().isSecret)
    }
}
