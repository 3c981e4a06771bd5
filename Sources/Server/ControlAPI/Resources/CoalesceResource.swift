// An endpoint's `coalesce` as the API shows and takes it. What is right in it is the registry's affair.
import Engine

package struct CoalesceResource: Codable, Equatable, Sendable, Described {
    package var key: [String]
    package var within: String?
    package init(key: [String]) { self.key = key }

    init(_ settings: CoalesceSettings) {
        key = settings.key
        within = settings.withinMillis.map { TimeSpan.text(of: $0) }
    }
    var settings: CoalesceSettings {
        var settings = CoalesceSettings()
        settings.key = key
        settings.withinMillis = within.flatMap { TimeSpan.parse($0) }
        return settings
    }
    package static let schema = ObjectSchema(
        "Coalesce", "Of the deliveries of one key that wait, only the newest is made; the others are `superseded`.",
        [
            .required(
                "key", .list(.text, countMax: 4),
                "`header:NAME`, `json:$.PATH` or `group`, the first that has a value; events without one are all "
                    + "delivered."),
            .optional(
                "within", .duration(CoalesceSettings.withinRange),
                "The first of a key waits so long for newer ones; without it, it goes as soon as it can."),
        ])
}
