// How events of the API get into the log beside the loops, and what of them is shown no more.
import FastPath

final class PublisherComponent: Component {
    private struct Made: Sendable {
        let publisher: EventPublisher
        let expunged: ExpungedContent
    }
    let name = "publisher"
    private let limits: LimitsConfiguration
    private let controls: LoopControls
    private let log: LogComponent
    private let journal: JournalComponent
    private let made = StartResult<Made>()

    init(_ configuration: GatewayConfiguration, controls: LoopControls, log: LogComponent, journal: JournalComponent) {
        limits = configuration.process.limits
        self.controls = controls
        self.log = log
        self.journal = journal
    }
    var publisher: EventPublisher { made.value.publisher }
    var expunged: ExpungedContent { made.value.expunged }

    func start() throws {
        // The injector's link stands before this one.
        let place = controls.journal == nil ? nil : controls.loops.count + 1
        let folder = log.folder
        let port = EventPort(link: journal.publishing, loopIndex: place, logIdentity: folder.identity.identity)
        let oldest = (try? folder.segments())?.first ?? 0
        let expunged = try ExpungedContent(folder: folder.path, before: oldest)
        do throws(ThreadStartError) {
            let publisher = try EventPublisher(
                port: port, bodyBytesMax: limits.bodyBytesMax, patienceMillis: limits.commitMillisMax)
            made.set(Made(publisher: publisher, expunged: expunged))
        } catch { throw GatewayError.thread(error) }
    }
    /// Before the loops: the only one of them may drive the journal, and what was taken must get its fate.
    func drain(withinMillis: Int) -> Bool { publisher.drain(withinMillis: withinMillis) }
}
