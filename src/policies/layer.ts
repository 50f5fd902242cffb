// How policies nest without a promise each. A layer is entered with what comes within it and with who is to hear of the end;
// one `Run` goes through all layers, and the only promise is the one that the caller gets.

import type { Clock } from '../core/clock.ts'
import type { AttemptContext, Operation, Policy } from './Policy.ts'

/** Who hears how something ended: one of the two, once. */
export interface Ending {
  succeed(value: unknown): void
  fail(error: unknown): void
}

/** What comes within a layer: further layers, the operation at last. Reports to `ending`, never throws. */
export interface Inner {
  enter(run: Run, context: AttemptContext, ending: Ending): void
}

/** What the layers of one call share. */
export class Run {
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
      ending.fail(error)
      return
    }
    settle(result, ending)
  },
}

/** Reports a value at once, or a promise's when it is there. */
function settle(result: unknown, ending: Ending): void {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then !== 'function') {
    ending.succeed(result)
    return
  }
  Promise.resolve(result).then(
    (value) => ending.succeed(value),
    (error) => ending.fail(error),
  )
}

/** Runs an operation within a layer. */
export function runWithin<T>(layer: Layer, operation: Operation<T>, context: AttemptContext): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    layer[within](innermost, new Run(operation), context, {
      succeed: resolve as Ending['succeed'],
      fail: reject,
    })
  })
}

/** What stands within `policy`, with `inner` within it. */
export function nest(policy: Policy, inner: Inner): Inner {
  if (within in policy) {
    const layer = policy as Layer
    return { enter: (run, context, ending) => layer[within](inner, run, context, ending) }
  }
  // A policy of somebody else's, or one that runs its operation more than once at a time: promises it is.
  return {
    enter(run, context, ending) {
      const operation: Operation<unknown> = (changed) =>
        new Promise((resolve, reject) => {
          inner.enter(new Run(run.operation), changed, { succeed: resolve, fail: reject })
        })
      let result: unknown
      try {
        result = policy.execute(operation, context)
      } catch (error) {
        ending.fail(error)
        return
      }
      settle(result, ending)
    },
  }
}
