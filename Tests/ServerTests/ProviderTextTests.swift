// The catalogue in words, and the page that is written from it.
import Engine
import FastPath
import Foundation
import Server
import TestSupport
import Testing

@Suite struct ProviderTextTests {
    private static let page = Repository.file("docs/providers.md")

    @Test func thePageIsWrittenFromTheCatalogue() throws {
        let written = try String(contentsOf: ProviderTextTests.page, encoding: .utf8)
        let lines = written.split(separator: "\n", omittingEmptySubsequences: false)
        let wanted = ProviderText.markdown.split(separator: "\n", omittingEmptySubsequences: false)
        for (line, want) in zip(lines, wanted) where line != want {
            Issue.record(
                "docs/providers.md is old; write it with `sluice providers list --markdown`: \(line) → \(want)")
            return
        }
        #expect(lines.count == wanted.count)
    }

    @Test func everyProviderSaysWhatToPasteWhere() {
        for provider in ProviderCatalogue.all {
            #expect(!provider.title.isEmpty && !provider.guide.url.isEmpty && !provider.guide.secret.isEmpty)
            let facts = ProviderText.facts(provider)
            #expect(facts.allSatisfy { !$0.words.isEmpty }, "\(provider.name)")
            #expect(facts.contains { $0.name == "Signature" } || provider.name == "generic")
        }
    }

    @Test func theReadySourceBlockIsAConfiguration() throws {
        for provider in ProviderCatalogue.all {
            let block = ProviderText.block(provider)
            var environment: [String: String] = [:]
            for part in block.components(separatedBy: "${").dropFirst() {
                environment[String(part.prefix(while: { $0 != "}" }))] = CatalogueSecret.example(provider)
            }
            let configuration = try ConfigurationFile.parse(block, file: "block.yaml", environment: environment)
            #expect(configuration.sources.first?.provider == provider.name)
        }
    }
}

/// A secret of the form that the provider's first scheme takes.
private enum CatalogueSecret {
    static func example(_ provider: Provider) -> String {
        switch provider.name {
        case "standard-webhooks", "svix", "openai": "whsec_" + Data(1...32).base64EncodedString()
        case "msteams": Data(1...32).base64EncodedString()
        case "discord", "discord-events": publicKey(.ed25519)
        case "sendgrid": publicKey(.ecdsaP256)
        case "adyen", "adyen-payload": String(repeating: "ab", count: 32)
        case "aws-sns": "arn:aws:sns:eu-west-1:123456789012:orders"
        case "servicenow": "user:password"
        default: "text"
        }
    }
    private static func publicKey(_ algorithm: PublicKeyAlgorithm) -> String {
        PrivateKey.generate(algorithm)?.publicKey.text ?? "no key"
    }
}
