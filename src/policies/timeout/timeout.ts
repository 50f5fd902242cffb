// A limit of time on any operation.

import { onAbort } from '../../core/abort.ts'
import type { Clock } from '../../core/clock.ts'
import { abortedBy, TimeoutError, type TimeoutPhase } from '../../core/errors.ts'
import { checkOption, checkOptions, clockRule, flag, interval } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type Ending, type Inner, type Layer, type Run, runWithin, within } from '../layer.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'
import { Deadline, Deadlines } from './Deadlines.ts'

export interface TimeoutPolicyOptions {
  /** Inside `retry` it limits an `attempt`; around it, as `deadline`, the whole call. @default 'attempt' */
  phase?: Extract<TimeoutPhase, 'attempt' | 'deadline'> | undefined
  /** Whether its timers let the process end. @default false */
  unref?: boolean | undefined
  clock?: Clock | undefined
}

/**
 * Rejects after `timeoutMs` milliseconds and aborts the signal that the operation was given.
 * @throws TimeoutError when time ran out; AbortError when the caller aborted
 */
export function timeout(timeoutMs: number, options: TimeoutPolicyOptions = {}): Policy {
  checkOption('timeout', 'timeoutMs', timeoutMs, interval)
  checkOptions('timeout', options, { phase: '"attempt" or "deadline"', unref: flag, clock: clockRule })
  return new Timeout(timeoutMs, options)
}

class Timeout implements Layer {
  readonly timeoutMs: number
  readonly deadlines: Deadlines
  readonly phase: TimeoutPhase
  readonly #clock: Clock

  constructor(
    timeoutMs: number,
    { phase = 'attempt', clock = systemClock, unref = false }: TimeoutPolicyOptions,
  ) {
    this.timeoutMs = timeoutMs
    this.phase = phase
    this.#clock = clock
    this.deadlines = new Deadlines(clock, unref)
  }

  execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
    return runWithin(this, operation, context)
  }

  [within](inner: Inner, run: Run, context: AttemptContext, ending: Ending): void {
    const { signal } = context
    if (signal?.aborted) {
      ending.reject(abortedBy(signal))
      return
    }
    const now = run.now(this.#clock)
    const timed = new Timed(this, ending, context)
    this.deadlines.add(timed, this.timeoutMs, now)
    if (signal) timed.listenTo(signal)
    inner.enter(run, timed, timed)
  }
}

/** An operation under its limit, and what it is told. */
class Timed extends Deadline implements Ending, AttemptContext {
  readonly #policy: Timeout
  readonly #outer: AttemptContext
  /** Undefined once it is over; what the operation still says is not heard. */
  #ending: Ending | undefined
  #release: (() => void) | undefined
  #controller: AbortController | undefined

  constructor(policy: Timeout, ending: Ending, outer: AttemptContext) {
    super()
    this.#policy = policy
    this.#ending = ending
    this.#outer = outer
  }

  get attempt(): number {
    return this.#outer.attempt
  }

  get deadlineAt(): number {
    return Math.min(this.#outer.deadlineAt, this.at)
  }

  /** Made when somebody asks for it: most of the cost of a timeout would be there. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  listenTo(signal: AbortSignal): void {
    this.#release = onAbort(signal, () => this.#end(abortedBy(signal)))
  }

  override onDue(): void {
    const { phase, timeoutMs } = this.#policy
    this.#end(new TimeoutError(`timeout: not done within ${timeoutMs} ms`, { phase, timeoutMs }))
  }

  resolve(value: unknown): void {
    this.#settle()?.resolve(value)
  }

  reject(error: unknown): void {
    this.#settle()?.reject(error)
  }

  #end(error: unknown): void {
    this.reject(error)
    this.#controller ??= new AbortController()
    this.#controller.abort(error)
  }

  #settle(): Ending | undefined {
    const ending = this.#ending
    this.#ending = undefined
    this.#policy.deadlines.cancel(this)
    this.#release?.()
    return ending
  }
}
