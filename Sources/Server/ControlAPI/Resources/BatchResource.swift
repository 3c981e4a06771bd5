// An endpoint's `batch` as the API shows and takes it. What is right in it is the registry's affair.
import Engine

package struct BatchResource: Codable, Equatable, Sendable, Described {
    package var events: Int?
    package var within: String?
    package var bytes: Int?
    package var format: BatchFormat?
    package init() {}

    init(_ settings: BatchSettings) {
        events = settings.events
        within = TimeSpan.text(of: settings.withinMillis)
        bytes = settings.bytes
        format = settings.format
    }
    var settings: BatchSettings {
        var settings = BatchSettings()
        settings.events = events ?? settings.events
        settings.withinMillis = within.flatMap { TimeSpan.parse($0) } ?? settings.withinMillis
        settings.bytes = bytes ?? settings.bytes
        settings.format = format ?? settings.format
        return settings
    }
    package static let schema = ObjectSchema(
        "Batch", "Several events in one request, which is one attempt: its outcome is that of each.",
        [
            .optional("events", .integer(BatchSettings.eventsRange), "So many at most; 100 when absent."),
            .optional(
                "within", .duration(BatchSettings.withinRange), "The first waits so long for others; 1s when absent."),
            .optional(
                "bytes", .integer(BatchSettings.bytesRange),
                "Of the body at most, 262144 when absent; one event that is larger goes alone."),
            .optional(
                "format", .word(BatchFormat.allCases.map(\.rawValue)),
                "`json`: an array; `ndjson`: a line for each event."),
        ])
}
