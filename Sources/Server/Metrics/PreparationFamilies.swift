// What is made of events before they are sent, as metric families.
import Engine
import FastPath

enum PreparationFamilies {
    /// Every series is there from the start, with 0.
    static func of(_ figures: PreparationFigures) -> [MetricFamily] {
        var prepared = MetricFamily(
            "sluice_delivery_prepared_total", .counter,
            help: "Events transformed or redacted for an endpoint, by result: ok, or why it could not be done.")
        prepared.add([MetricLabel("result", "ok")], Double(figures.prepared))
        for failure in PreparationFailure.allCases {
            prepared.add([MetricLabel("result", failure.name)], Double(figures.failures[Int(failure.rawValue)]))
        }
        var redactions = MetricFamily(
            "sluice_redactions_total", .counter, help: "What was taken out of events before they were sent, by pattern."
        )
        for kind in RedactionKind.allCases {
            redactions.add([MetricLabel("pattern", kind.name)], Double(figures.redactions[Int(kind.rawValue)]))
        }
        return [
            prepared, redactions,
            MetricFamily(
                "sluice_delivery_preparing", .gauge, help: "Events that are being transformed or redacted now.",
                value: Double(figures.out)),
        ]
    }
}
