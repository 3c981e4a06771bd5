// What became of requests for access tokens, as metric families.
import Engine

enum TokenFamilies {
    /// Every series is there from the start, with 0.
    static func of(_ figures: TokenFigures) -> [MetricFamily] {
        var requests = MetricFamily(
            "sluice_authorization_token_requests_total", .counter,
            help: "Requests for access tokens, by result: granted, or why there was none.")
        requests.add([MetricLabel("result", "granted")], Double(figures.granted))
        for fault in AccessTokenFault.allCases {
            requests.add([MetricLabel("result", fault.name)], Double(figures.failures[Int(fault.rawValue)]))
        }
        return [
            requests,
            MetricFamily(
                "sluice_authorization_tokens_refused_total", .counter,
                help: "Deliveries that were answered 401 and sent again with another access token.",
                value: Double(figures.refused)),
        ]
    }
}
