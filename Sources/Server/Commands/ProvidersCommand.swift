// `sluice providers`: the catalogue, for a person who is about to configure a source.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct ProvidersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "providers",
        abstract: "What Sluice knows about the senders of webhooks.",
        discussion: """
            EXAMPLE
              sluice providers list
              sluice providers show stripe
            """,
        subcommands: [List.self, Show.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All providers, one a line.")
        @Flag(help: "Print JSON.")
        var json = false
        @Flag(help: "Print docs/providers.md.")
        var markdown = false

        func validate() throws {
            if json, markdown { throw ValidationError("--json and --markdown exclude each other") }
        }
        func run() {
            if markdown { return Output.raw(ProviderText.markdown, isFailure: false) }
            let all = ProviderCatalogue.all
            if json { return Output.json(all.map(ProviderFacts.init)) }
            let width = (all.map(\.name.count).max() ?? 0) + 2
            for provider in all {
                Output.line(provider.name.padding(toLength: width, withPad: " ", startingAt: 0) + provider.title)
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What a provider is expected to send, and what to paste where.",
            discussion: """
                EXAMPLE
                  sluice providers show github

                Exit status: 0 done, 2 there is no such provider.
                """)
        @Argument(help: "The provider's name.")
        var name: String
        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            guard ProviderCatalogue.provider(named: name) == nil else { return }
            let nearest = ProviderCatalogue.nearestNames(to: name).map { "`\($0)`" }
            throw ValidationError(
                "there is no provider `\(name)`; "
                    + (nearest.isEmpty
                        ? "`sluice providers list` has them all"
                        : "did you mean \(nearest.joined(separator: " or "))?"))
        }
        func run() {
            guard let provider = ProviderCatalogue.provider(named: name) else { return }
            if json { return Output.json(ProviderFacts(provider)) }
            Output.line("\(provider.name): \(provider.title)\n")
            for fact in ProviderText.facts(provider) {
                Output.line(fact.name.padding(toLength: 12, withPad: " ", startingAt: 0) + fact.words)
            }
            for note in provider.guide.notes { Output.line("Note        " + note) }
            Output.line("\n" + ProviderText.block(provider))
        }
    }
}

/// A provider as JSON.
private struct ProviderFacts: Encodable {
    let name: String
    let title: String
    let url: String
    let secret: String
    let notes: [String]
    let signatures: [String]
    let methods: String
    let eventID: [String]
    let eventType: [String]
    let dedupKey: [String]
    let handshakes: [String]
    let successStatus: Int
    let successBody: String?
    let answerSecondsMax: Int?
    let retries: String
    let retryHeader: String?
    let retryAfterHonoured: Bool
    let addresses: [String]
    let source: String

    init(_ provider: Provider) {
        name = provider.name
        title = provider.title
        url = provider.guide.url
        secret = provider.guide.secret
        notes = provider.guide.notes
        signatures = provider.schemes.map(ProviderText.words(of:))
        methods = provider.methods.text
        eventID = provider.eventID
        eventType = provider.eventType
        dedupKey = provider.dedupKey
        handshakes = provider.handshakes.map(ProviderText.words(of:))
        successStatus = provider.successStatus
        successBody = provider.successBody.map { "\($0)" }
        answerSecondsMax = provider.answerSecondsMax
        retries = provider.retries.rawValue
        retryHeader = provider.retryHeader
        retryAfterHonoured = provider.retryAfterHonoured
        addresses = provider.addresses
        source = ProviderText.block(provider)
    }
}
