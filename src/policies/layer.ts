// How policies nest without a promise each. A layer is entered with what comes within it and with who is to hear of the end;
// one `Run` goes through all layers, and the only promise is the one that the caller gets.

import type { Clock } from '../core/clock.ts'
import type { AttemptContext, Operation, Policy } from './Policy.ts'

/** Who hears how something ended: one of the two, once. */
export interface Ending {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** What comes within a layer: further layers, the operation at last. Reports to `ending`, never throws. */
export interface Inner {
  enter(run: Run, context: AttemptContext, ending: Ending): void
}

let resolve!: Ending['resolve']
let reject!: Ending['reject']

/** Hands over the two ends of a promise that is being made: a function for each promise would cost as much as the promise. */
function takeEnds(toResolve: Ending['resolve'], toReject: Ending['reject']): void {
  resolve = toResolve
  reject = toReject
}

/** What the layers of one call share, and who hears of its end at last: the promise of its caller. */
export class Run implements Ending {
  readonly promise = new Promise<unknown>(takeEnds)
  readonly resolve = resolve
  readonly reject = reject
  readonly operation: Operation<unknown>
  #clock: Clock | undefined
  #now = 0

  constructor(operation: Operation<unknown>) {
    this.operation = operation
  }

  /** The time, read once for all layers that are entered in one go: a look at the clock costs more than most policies. */
  now(clock: Clock): number {
    if (clock !== this.#clock) {
      this.#clock = clock
      this.#now = clock.now()
    }
    return this.#now
  }

  /** Time has passed: whoever waits says so before going on. */
  later(): void {
    this.#clock = undefined
  }
}

/** The method of a layer; under a symbol, for users see policies only. */
export const within: unique symbol = Symbol('within')

/** A policy that needs no promise of its own. */
export interface Layer extends Policy {
  [within](inner: Inner, run: Run, context: AttemptContext, ending: Ending): void
}

/** The operation itself. */
export const innermost: Inner = {
  enter(run, context, ending) {
    let result: unknown
    try {
      result = run.operation(context)
    } catch (error) {
      ending.reject(error)
      return
    }
    settle(result, ending)
  },
}

/** Reports a value at once, or a promise's when it is there. */
function settle(result: unknown, ending: Ending): void {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then !== 'function') {
    ending.resolve(result)
    return
  }
  Promise.resolve(result).then(
    (value) => ending.resolve(value),
    (error) => ending.reject(error),
  )
}

/** Runs an operation within a layer. */
export function runWithin<T>(layer: Layer, operation: Operation<T>, context: AttemptContext): Promise<T> {
  const run = new Run(operation)
  layer[within](innermost, run, context, run)
  return run.promise as Promise<T>
}

/** A layer and what comes within it. */
class Nested implements Inner {
  readonly layer: Layer
  readonly inner: Inner

  constructor(layer: Layer, inner: Inner) {
    this.layer = layer
    this.inner = inner
  }

  enter(run: Run, context: AttemptContext, ending: Ending): void {
    this.layer[within](this.inner, run, context, ending)
  }
}

/** What stands within `policy`, with `inner` within it. */
export function nest(policy: Policy, inner: Inner): Inner {
  if (within in policy) return new Nested(policy as Layer, inner)
  // A policy of somebody else's, or one that runs its operation more than once at a time: promises it is.
  return {
    enter(run, context, ending) {
      const operation: Operation<unknown> = (changed) => {
        const own = new Run(run.operation)
        inner.enter(own, changed, own)
        return own.promise
      }
      let result: unknown
      try {
        result = policy.execute(operation, context)
      } catch (error) {
        ending.reject(error)
        return
      }
      settle(result, ending)
    },
  }
}
