// The limit of a source or tenant as the API shows and takes it.
import Engine

package struct RateLimitResource: Codable, Equatable, Sendable {
    package var capacity: Int?
    package var perSecond: Int?
    package var perMinute: Int?
    package var perHour: Int?

    package init(_ limit: RateLimitConfiguration) {
        capacity = limit.perSecond.map { limit.capacity ?? $0 }
        perSecond = limit.perSecond
        perMinute = limit.perMinute
        perHour = limit.perHour
    }
    var limit: RateLimitConfiguration {
        RateLimitConfiguration(capacity: capacity, perSecond: perSecond, perMinute: perMinute, perHour: perHour)
    }
    /// `value` holds against the schema.
    static func limit(_ value: JSONValue) -> RateLimitConfiguration? {
        guard case .object(let members) = value else { return nil }
        func number(_ name: String) -> Int? {
            guard case .integer(let number)? = members[name] else { return nil }
            return Int(number)
        }
        return RateLimitConfiguration(
            capacity: number("capacity"), perSecond: number("per_second"), perMinute: number("per_minute"),
            perHour: number("per_hour"))
    }
}

extension RateLimitResource: Described {
    package static let schema = ObjectSchema(
        "RateLimit", "How many requests may be sent; each part counts by itself.",
        [
            .optional(
                "capacity", .integer(RateLimitConfiguration.capacityRange),
                "Tokens: so many requests at once. `per_second` by default."),
            .optional(
                "per_second", .integer(RateLimitConfiguration.perSecondRange), "Tokens that come back in a second."),
            .optional(
                "per_minute", .integer(RateLimitConfiguration.windowRange), "Requests within any 60 seconds."),
            .optional(
                "per_hour", .integer(RateLimitConfiguration.windowRange), "Requests within any 3,600 seconds."),
        ])
}
