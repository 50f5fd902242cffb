// A limit of time on each attempt, through one timer for all of them. How long, and what the error says, is said by its terms.

import { onAbort } from '../../core/abort.ts'
import type { Clock } from '../../core/clock.ts'
import { abortedBy, type TimeoutError } from '../../core/errors.ts'
import { around, type Ending, type Inner, LayerPolicy, type Run } from '../layer.ts'
import type { AttemptContext } from '../Policy.ts'
import { Deadline, type Deadlines } from './Deadlines.ts'

/** What limiting goes by: the same for all in a policy by itself, each call's own in a client. */
export interface TimeoutTerms<R extends Run = Run> {
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** Milliseconds that it may take; `Infinity` for no limit. When there are none left, it is not begun. */
  limitMs(run: R, now: number): number
  /** The error of one whose time has run out. */
  timeoutError(run: R): TimeoutError
}

export class TimeoutLayer<R extends Run = Run> extends LayerPolicy<R> {
  protected readonly terms: TimeoutTerms<R>

  constructor(terms: TimeoutTerms<R>) {
    super()
    this.terms = terms
  }

  [around](inner: Inner<R>): Inner<R> {
    return new Timing(this.terms, inner)
  }
}

class Timing<R extends Run> implements Inner<R> {
  readonly terms: TimeoutTerms<R>
  readonly inner: Inner<R>

  constructor(terms: TimeoutTerms<R>, inner: Inner<R>) {
    this.terms = terms
    this.inner = inner
  }

  enter(run: R, context: AttemptContext, ending: Ending): void {
    const { terms } = this
    const { signal } = context
    if (signal?.aborted) {
      ending.reject(abortedBy(signal))
      return
    }
    const now = run.now(terms.clock)
    const limitMs = terms.limitMs(run, now)
    if (limitMs <= 0) {
      ending.reject(terms.timeoutError(run))
      return
    }
    if (limitMs === Infinity) {
      this.inner.enter(run, context, ending)
      return
    }
    const timed = new Timed(terms, run, ending, context)
    terms.deadlines.add(timed, limitMs, now)
    if (signal) timed.listenTo(signal)
    this.inner.enter(run, timed, timed)
  }
}

/** An attempt under its limit, and what it is told. */
class Timed<R extends Run> extends Deadline implements Ending, AttemptContext {
  readonly #terms: TimeoutTerms<R>
  readonly #run: R
  readonly #outer: AttemptContext
  /** Undefined once it is over; what the operation still says is not heard. */
  #ending: Ending | undefined
  #release: (() => void) | undefined
  #controller: AbortController | undefined

  constructor(terms: TimeoutTerms<R>, run: R, ending: Ending, outer: AttemptContext) {
    super()
    this.#terms = terms
    this.#run = run
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
    const aborted = () => this.end(abortedBy(signal))
    this.#release = onAbort(signal, () => this.#run.runInAsyncScope(aborted, undefined))
  }

  /** Its timer is everybody's. */
  override onDue(): void {
    const expire = () => this.end(this.#terms.timeoutError(this.#run))
    this.#run.runInAsyncScope(expire, undefined)
  }

  resolve(value: unknown): void {
    this.settle()?.resolve(value)
  }

  reject(error: unknown): void {
    this.settle()?.reject(error)
  }

  pause(): void {
    this.#ending?.pause?.()
  }

  resume(): boolean {
    return this.#ending?.resume?.() ?? this.#ending !== undefined
  }

  // Not `#methods`: they would put a mark on every object.

  private end(error: unknown): void {
    if (!this.#ending) return
    // What can be ended reports it itself; an operation can only be told, and is not heard any more.
    this.#run.interrupt(error)
    this.reject(error)
    this.#controller ??= new AbortController()
    this.#controller.abort(error)
  }

  private settle(): Ending | undefined {
    const ending = this.#ending
    this.#ending = undefined
    this.#terms.deadlines.cancel(this)
    this.#release?.()
    return ending
  }
}
