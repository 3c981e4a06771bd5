// The key `filter` of an endpoint: a mapping, or the same as JSON in a text. What it means is the registry's affair;
// its answer comes back to the line.
import Engine
import Yams

extension ConfigurationKeys {
    /// `filter: { body: { $.data.amount: { $gte: 1000 } } }`. Taken as it stands: a `${NAME}` in it is no variable, and
    /// `$` begins an operator.
    static let filter = ConfigurationKey<EndpointConfiguration>(
        name: "filter", form: "mapping", range: "see docs/filters.md"
    ) { node, endpoint, reading in
        if let text = node.scalar?.string {
            guard !text.isEmpty else {
                return reading.report(node, "`filter` has no value; set one or remove the line")
            }
            do throws(JSONProblem) {
                endpoint.policies.filter = try JSONReading.value(Array(text.utf8)).asStored
            } catch {
                reading.report(node, "`filter` is neither a mapping nor JSON: it \(error.message)")
            }
            return
        }
        do throws(YAMLValue.Problem) { endpoint.policies.filter = try YAMLValue.json(node).asStored } catch {
            reading.report(error.line > 0 ? error.line : node.mark?.line ?? 0, "`filter` \(error.message)")
        }
    }
}
