// Attempts at second URLs, as metric families.
import Engine

enum FailoverFamilies {
    static func of(_ figures: FailoverFigures) -> [MetricFamily] {
        var tried = MetricFamily(
            "sluice_delivery_failovers_total", .counter,
            help: "Deliveries whose last attempt went to their second URL, by what became of them.")
        for (outcome, count) in [("delivered", figures.delivered), ("failed", figures.failed)] {
            tried.add([MetricLabel("outcome", outcome)], Double(count))
        }
        return [tried]
    }
}
