// The contract edge on the control listener: whatever is asked under its paths goes through its own list of middleware
// and no other.
import Engine
import HTTPTypes
import Hummingbird

struct ContractEdge: RouterMiddleware {
    let runner: EdgeRunner

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        guard EdgeRoutes.owns(request.uri.path) else { return try await next(request, context) }
        var exchange = EdgeExchange(request, address: context.address, time: .now)
        (exchange.connection, exchange.certificate) = (context.connection, context.certificate)
        let asked = exchange
        return await CallPlace.elsewhere { await runner.answer(asked).response }
    }
}
