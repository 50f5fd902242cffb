// How policies nest without a promise each. A layer is entered with what comes within it and with who is to hear of the end;
// one `Run` goes through all layers, and the only promise is the one that the caller gets. A call of an ApiClient is a `Run` too.

import { CallerContext } from '#caller-context'
import type { Clock } from '../core/clock.ts'
import { CommsError, isA, TimeoutError } from '../core/errors.ts'
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

const nothing = () => {}
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
  readonly #toResolve = resolve
  readonly #toReject = reject
  #clock: Clock | undefined
  #now = 0

  constructor() {
    super()
    // They lead to the promise, and so to the answer: a large one would live until the next call.
    resolve = reject = nothing
  }

  resolve(value: unknown): void {
    this.#toResolve(value)
  }

  reject(error: unknown): void {
    if (isA(error, TimeoutError) && !namesCaller(error)) this.rejectLate(error)
    else this.#toReject(error)
  }

  /** Rejects with an error that was made where no caller is to be seen: its stack is made to name who awaits the promise. */
  rejectLate(error: unknown): void {
    if (isA(error, CommsError)) this.#toResolve(rethrown(error))
    else this.#toReject(error)
  }

  /** Ends what is under way. @returns false when there is nothing that could be ended */
  interrupt(error: unknown): boolean {
    const { underway } = this
    this.underway = undefined
    underway?.interrupt(error)
    return underway !== undefined
  }

  /** Whether its caller wants no more of it: then nothing is begun any more. */
  get stopped(): boolean {
    return false
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

function namesCaller({ stack }: Error): boolean {
  return stack === undefined || stack.includes('at async ')
}

/** Once a promise that waits for it is known to its engine, a new stack reaches through to who awaits that one. */
async function rethrown(error: CommsError): Promise<never> {
  for (let turn = 0; turn < 3; turn += 1) await undefined
  const { stack } = error
  Error.captureStackTrace?.(error)
  // Where nobody awaits, or the engine does not follow, the first stack says more.
  if (!namesCaller(error)) error.stack = stack ?? ''
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
export const around: unique symbol = Symbol('around')

/** What stands around what comes within it: linked once, entered by every run. */
export interface Layer<R extends Run = Run> {
  [around](inner: Inner<R>): Inner<R>
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
  let isPromise: boolean
  try {
    isPromise = typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function'
  } catch (error) {
    // A value that cannot be looked at.
    ending.reject(error)
    return
  }
  // Bound functions: an arrow function weighs half as much again, and another object for what both close over.
  if (isPromise) Promise.resolve(result).then(ending.resolve.bind(ending), ending.reject.bind(ending))
  else ending.resolve(result)
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

/** A layer; one that asks nothing of its runs is a policy by itself. */
export abstract class LayerPolicy<R extends Run = Run> implements Layer<R> {
  #alone: Inner<OperationRun> | undefined

  /** Runs `operation`; rejects with its error or with the policy's own. */
  execute<T>(this: LayerPolicy, operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
    this.#alone ??= (this as LayerPolicy<OperationRun>)[around](innermost)
    return runNested(this.#alone, operation, context)
  }

  abstract [around](inner: Inner<R>): Inner<R>
}

/** Layers around `inner`, the outermost first. */
export function nest<R extends Run>(layers: readonly Layer<R>[], inner: Inner<R>): Inner<R> {
  return layers.reduceRight((within, layer) => layer[around](within), inner)
}

/** Policies around an operation, the outermost first. */
export function nestPolicies(policies: readonly Policy[]): Inner<OperationRun> {
  return policies.reduceRight<Inner<OperationRun>>(
    (inner, policy) => (isLayer(policy) ? policy[around](inner) : new Foreign(policy, inner)),
    innermost,
  )
}

function isLayer(policy: Policy): policy is Policy & Layer<OperationRun> {
  return around in policy
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
