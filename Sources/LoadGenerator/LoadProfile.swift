// How the rate of a load changes over time, as values, and as the straight pieces that the loop walks. Pure.

import FastPath
import Foundation

package enum LoadProfile: Equatable, Sendable {
    case constant(Double)
    case ramp(from: Double, to: Double)
    /// Rates one after another, each for its seconds; the last holds to the end.
    case steps([Step])
    case sine(low: Double, high: Double, periodSeconds: Double)
    /// Silence, then a storm, again and again.
    case burst(silenceSeconds: Double, stormSeconds: Double, rate: Double)

    package struct Step: Equatable, Sendable {
        package let rate: Double
        package let seconds: Double
        package init(rate: Double, seconds: Double) {
            self.rate = rate
            self.seconds = seconds
        }
    }
    /// A sine's period is cut into so many straight pieces: off by less than 0.2 % of the swing.
    private static let piecesAPeriod = 64
    /// More than any schedule that means something.
    package static let pieceCountMax = 1 << 16

    /// `warmupSeconds` come before, at the profile's first rate; for a burst at its storm's.
    package func pieces(warmupSeconds: Double, seconds: Double) -> [LoadPiece] {
        var pieces: [LoadPiece] = []
        func add(_ seconds: Double, _ from: Double, _ to: Double) {
            let nanos = UInt64(max(0, seconds) * 1e9)
            if nanos > 0 { pieces.append(LoadPiece(nanos: nanos, rateAtStart: from, rateAtEnd: to)) }
        }
        switch self {
        case .constant(let rate): add(warmupSeconds + seconds, rate, rate)
        case .ramp(let from, let to):
            add(warmupSeconds, from, from)
            add(seconds, from, to)
        case .steps(let steps):
            add(warmupSeconds, steps.first?.rate ?? 0, steps.first?.rate ?? 0)
            var rest = seconds
            for (index, step) in steps.enumerated() where rest > 0 {
                let length = index == steps.count - 1 ? rest : min(step.seconds, rest)
                add(length, step.rate, step.rate)
                rest -= length
            }
        case .sine(let low, let high, let period):
            let middle = (low + high) / 2
            let swing = (high - low) / 2
            func rate(_ time: Double) -> Double { middle + swing * sin(2 * .pi * time / period) }
            add(warmupSeconds, middle, middle)
            var time = 0.0
            while time < seconds - 1e-9 {
                let next = min(time + period / Double(LoadProfile.piecesAPeriod), seconds)
                add(next - time, max(0, rate(time)), max(0, rate(next)))
                time = next
            }
        case .burst(let silence, let storm, let rate):
            add(warmupSeconds, rate, rate)
            var rest = seconds
            while rest > 1e-9 {
                add(min(silence, rest), 0, 0)
                rest -= silence
                add(min(storm, rest), rate, rate)
                rest -= storm
            }
        }
        return pieces
    }
}
