// What is said to a token endpoint, and which answers are a token.
import Engine
import FastPath
import Testing

private func settings(_ change: (inout ClientCredentialsSettings) -> Void = { _ in }) -> ClientCredentialsSettings {
    var settings = ClientCredentialsSettings()
    settings.tokenURL = "https://login.example/oauth/token?v=2"
    settings.clientID = "the client"
    settings.clientSecret = "s:e/cret+1"
    change(&settings)
    return settings
}
private func said(_ settings: ClientCredentialsSettings) throws -> (head: [String], body: String) {
    let bytes = TokenRequest.bytes(settings, try EndpointAddress(settings.tokenURL), version: "9")
    let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n\r\n", maxSplits: 1)
    return (parts[0].split(separator: "\r\n").map(String.init), String(parts[1]))
}
private func answer(_ body: String, status: Int = 200) -> ExchangeAnswer {
    var answer = ExchangeAnswer(status: status)
    answer.body = Array(body.utf8)
    return answer
}
private func failure(_ answer: ExchangeAnswer, _ settings: ClientCredentialsSettings = settings()) -> TokenFailure? {
    do throws(TokenFailure) {
        _ = try TokenRequest.token(in: answer, settings)
        return nil
    } catch { return error }
}

@Suite struct TokenRequestTests {
    @Test func provesWhoItIsInTheHead() throws {
        let (head, body) = try said(
            settings {
                $0.scopes = ["a:read", "b"]
                $0.audience = "https://api.example/"
            })
        #expect(head[0] == "POST /oauth/token?v=2 HTTP/1.1" && head.contains("Host: login.example"))
        // Each half is encoded as in a form before both become base 64 (RFC 6749 section 2.3.1).
        let pair = TextEncoding.base64(Array("the+client:s%3Ae%2Fcret%2B1".utf8))
        #expect(head.contains("Authorization: Basic \(pair)"))
        #expect(head.contains("Content-Type: application/x-www-form-urlencoded"))
        #expect(head.contains("Content-Length: \(body.utf8.count)"))
        #expect(body == "grant_type=client_credentials&scope=a%3Aread+b&audience=https%3A%2F%2Fapi.example%2F")
    }
    @Test func orInTheForm() throws {
        let (head, body) = try said(settings { $0.authStyle = .body })
        #expect(!head.contains { $0.hasPrefix("Authorization") })
        #expect(
            body == "grant_type=client_credentials&client_id=the+client&client_secret=s%3Ae%2Fcret%2B1")
    }
    @Test(arguments: [
        ("{\"access_token\":\"a.b|c\",\"token_type\":\"bearer\",\"expires_in\":3600}", 3_600_000),
        ("{\"access_token\":\"t\",\"token_type\":\"BEARER\",\"expires_in\":\"60\",\"scope\":\"a\"}", 60_000),
        ("{\"access_token\":\"t\",\"token_type\":\"Bearer\"}", 300_000),
        ("{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":99999999999}", 86_400_000),
    ]) func takesABearerToken(_ body: String, _ millis: Int) throws {
        let token = try TokenRequest.token(in: answer(body), settings())
        #expect(token.lifetimeMillis == millis && ["a.b|c", "t"].contains(token.text))
    }
    @Test(arguments: [
        "", "no JSON", "[]", "{}", "{\"access_token\":\"t\"}", "{\"access_token\":\"t\",\"token_type\":\"mac\"}",
        "{\"access_token\":\"\",\"token_type\":\"Bearer\"}", "{\"access_token\":7,\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"a b\",\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"a\\r\\nX: y\",\"token_type\":\"Bearer\"}",
        "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":0}",
        "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":-1}",
        "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":1.5}",
        "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":null}",
        "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":\"soon\"}",
        "{\"access_token\":\"t\",\"access_token\":\"u\",\"token_type\":\"Bearer\"}",
    ]) func refusesWhatIsNone(_ body: String) {
        #expect(failure(answer(body))?.fault == .badAnswer, "\(body)")
    }
    @Test func aTokenHasABound() {
        func body(_ count: Int) -> ExchangeAnswer {
            answer("{\"access_token\":\"\(String(repeating: "t", count: count))\",\"token_type\":\"Bearer\"}")
        }
        #expect(failure(body(TokenRequest.tokenBytesMax)) == nil)
        #expect(failure(body(TokenRequest.tokenBytesMax + 1))?.fault == .badAnswer)
    }
    @Test(arguments: [
        (400, AccessTokenFault.refused), (401, .refused), (403, .refused), (404, .refused), (408, .unavailable),
        (429, .unavailable), (500, .unavailable), (503, .unavailable), (302, .unavailable), (201, .unavailable),
    ]) func tellsARefusalFromATroubleThatPasses(_ status: Int, _ fault: AccessTokenFault) {
        let found = failure(answer("{\"error\":\"invalid_client\"}", status: status))
        #expect(found?.fault == fault && found?.status == UInt16(status) && found?.detail == "invalid_client")
    }
    @Test func whatItSaysIsShownWithoutTheSecretAndShort() throws {
        let pair = TextEncoding.base64(Array("the+client:s%3Ae%2Fcret%2B1".utf8))
        for form in ["s:e/cret+1", "s%3Ae%2Fcret%2B1", pair] {
            let body = "{\"error\":\"invalid_client\",\"error_description\":\"it is not \(form)\\n!\"}"
            #expect(failure(answer(body, status: 401))?.detail == "invalid_client: it is not *** !")
        }
        let long = "{\"error\":\"\(String(repeating: "é", count: 400))\"}"
        #expect(try #require(failure(answer(long, status: 400))).detail.utf8.count <= 200)
        // Of what is no error answer nothing is shown: it may have a token.
        let odd = try #require(failure(answer("{\"access_token\":\"hidden\",\"token_type\":\"mac\"}")))
        #expect(!odd.description.contains("hidden"))
        #expect(failure(answer("{\"access_token\":\"hidden\"}", status: 500))?.detail == "")
    }
    @Test func theReasonIsPartOfTheAttempt() {
        let failure = TokenFailure(.refused, status: 401)
        let error = failure.systemError
        #expect(AccessTokenFault(.authorizationFailed, error) == .refused && error >> 8 == 401)
        #expect(AccessTokenFault(.connectFailed, error) == nil)
    }
}
