// How policies nest without a promise each. A layer is entered with what comes within it and with who is to hear of the end;
// one `Run` goes through all layers, and the only promise is the one that the caller gets. A call of an ApiClient is a `Run` too.

import { CallerContext } from '#caller-context'
import type { Clock } from '../core/clock.ts'
import { CommsError } from '../core/errors.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from './Policy.ts'

/** Who hears how something ended: `resolve` or `reject`, once. */
export interface Ending {
  resolve(value: unknown): void
  reject(error: unknown): void
  /** What comes within has to wait for something (a token): what others could use meanwhile is given back. */
  pause?(): void
  /** The wait is over. @returns false when it may not go on any more, which has been reported outward */
  resume?(): boolean
}

/** What comes within a layer: further layers, the operation at last. Reports to `ending`, never throws. */
export interface Inner<R extends Run = Run> {
  enter(run: R, context: AttemptContext, ending: Ending): void
}

/** Something under way for a run that can be ended before its time: it lets go of what it holds and rejects its ending. */
export interface Underway {
  interrupt(error: unknown): void
}

let resolve!: Ending['resolve']
let reject!: Ending['reject']

/** Hands over the two ends of a promise that is being made: a function for each promise would cost as much as the promise. */
function takeEnds(toResolve: Ending['resolve'], toReject: Ending['reject']): void {
  resolve = toResolve
  reject = toReject
}

/**
 * What the layers of one call share, and who hears of its end at last: the promise of its caller. Knows the caller's
 * asynchronous context: whatever is woken by something else than a promise goes on through `runInAsyncScope`.
 */
export class Run extends CallerContext implements Ending {
  readonly promise = new Promise<unknown>(takeEnds)
  /** What waits or is at work for it, if that can be ended: of one thing at a time, the innermost. */
  underway: Underway | undefined
  /** Its caller wants no more of it: nothing is begun any more. */
  stopped = false
  readonly #toResolve = resolve
  readonly #toReject = reject
  #clock: Clock | undefined
  #now = 0

  resolve(value: unknown): void {
    this.#toResolve(value)
  }

  reject(error: unknown): void {
    this.#toReject(error)
  }

  /** Rejects with an error that was made where no caller is to be seen: its stack is made to name who awaits the promise. */
  rejectLate(error: unknown): void {
    if (error instanceof CommsError) this.#toResolve(rethrown(error))
    else this.#toReject(error)
  }

  /** Ends what is under way. @returns false when there is nothing that could be ended */
  interrupt(error: unknown): boolean {
    const { underway } = this
    this.underway = undefined
    underway?.interrupt(error)
    return underway !== undefined
  }

  /** Ends what is under way, for good. */
  stop(error: unknown): void {
    this.stopped = true
    this.interrupt(error)
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

/** Once a promise that waits for it is known to its engine, a new stack reaches through to who awaits that one. */
async function rethrown(error: CommsError): Promise<never> {
  for (let turn = 0; turn < 3; turn += 1) await undefined
  const { stack } = error
  Error.captureStackTrace?.(error)
  // Where nobody awaits, or the engine does not follow, the first stack says more.
  if (!error.stack?.includes('at async ')) error.stack = stack ?? ''
  throw error
}

/** A run of somebody's function. */
class OperationRun extends Run {
  readonly operation: Operation<unknown>

  constructor(operation: Operation<unknown>) {
    super()
    this.operation = operation
  }
}

/** The method of a layer; under a symbol, for users see policies only. */
export const within: unique symbol = Symbol('within')

/** What stands around what comes within it. */
export interface Layer<R extends Run = Run> {
  [within](inner: Inner<R>, run: R, context: AttemptContext, ending: Ending): void
}

/** The ending that a layer puts before its own: passes on what it has nothing to say to. */
export class Link implements Ending {
  protected readonly ending: Ending

  constructor(ending: Ending) {
    this.ending = ending
  }

  resolve(value: unknown): void {
    this.ending.resolve(value)
  }

  reject(error: unknown): void {
    this.ending.reject(error)
  }

  pause(): void {
    this.ending.pause?.()
  }

  resume(): boolean {
    return this.ending.resume?.() ?? true
  }
}

/** The operation itself. */
const innermost: Inner<OperationRun> = {
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

/** Runs operations within what has been nested around them. */
export function runNested<T>(
  outermost: Inner<OperationRun>,
  operation: Operation<T>,
  context: AttemptContext,
): Promise<T> {
  const run = new OperationRun(operation)
  outermost.enter(run, context, run)
  return run.promise as Promise<T>
}

/** Runs an operation within a layer. */
export function runWithin<T>(layer: Layer, operation: Operation<T>, context: AttemptContext): Promise<T> {
  const run = new OperationRun(operation)
  layer[within](innermost as Inner, run, context, run)
  return run.promise as Promise<T>
}

/** A layer; one that asks nothing of its runs is a policy by itself. */
export abstract class LayerPolicy<R extends Run = Run> implements Layer<R> {
  /** Runs `operation`; rejects with its error or with the policy's own. */
  execute<T>(this: LayerPolicy, operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
    return runWithin(this, operation, context)
  }

  abstract [within](inner: Inner<R>, run: R, context: AttemptContext, ending: Ending): void
}

/** A layer and what comes within it. */
class Nested<R extends Run> implements Inner<R> {
  readonly layer: Layer<R>
  readonly inner: Inner<R>

  constructor(layer: Layer<R>, inner: Inner<R>) {
    this.layer = layer
    this.inner = inner
  }

  enter(run: R, context: AttemptContext, ending: Ending): void {
    this.layer[within](this.inner, run, context, ending)
  }
}

/** Layers around `inner`, the outermost first. */
export function nest<R extends Run>(layers: readonly Layer<R>[], inner: Inner<R>): Inner<R> {
  return layers.reduceRight<Inner<R>>((within, layer) => new Nested(layer, within), inner)
}

/** Policies around an operation, the outermost first. */
export function nestPolicies(policies: readonly Policy[]): Inner<OperationRun> {
  return policies.reduceRight<Inner<OperationRun>>(
    (inner, policy) => (isLayer(policy) ? new Nested(policy, inner) : new Foreign(policy, inner)),
    innermost,
  )
}

function isLayer(policy: Policy): policy is Policy & Layer<OperationRun> {
  return within in policy
}

/** A policy of somebody else's, or one that runs its operation more than once at a time: promises it is. */
class Foreign implements Inner<OperationRun> {
  readonly policy: Policy
  readonly inner: Inner<OperationRun>

  constructor(policy: Policy, inner: Inner<OperationRun>) {
    this.policy = policy
    this.inner = inner
  }

  enter(run: OperationRun, context: AttemptContext, ending: Ending): void {
    // Whenever it calls it, and whatever has woken it.
    const operation: Operation<unknown> = (changed) =>
      run.runInAsyncScope(runNested<unknown>, undefined, this.inner, run.operation, changed)
    let result: unknown
    try {
      result = this.policy.execute(operation, context)
    } catch (error) {
      ending.reject(error)
      return
    }
    settle(result, ending)
  }
}
