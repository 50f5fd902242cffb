// How a live reader waits: for news of its log, for room in its socket, until its time is over or
// it has gone.

import type { TimerHandle } from '../../core/clock.ts'
import type { LogRequest } from './LogRequest.ts'

export class Turns {
  readonly #response: LogRequest['response']
  readonly #logs: LogRequest['routes']['logs']
  readonly #clock: LogRequest['routes']['clock']
  readonly #timer: TimerHandle
  readonly #unwatch: () => void
  readonly #onGone = () => this.#over()
  #news = false
  #ended = false
  #wake: (() => void) | undefined

  /** Listens from now on: what happens between two waits is not missed. */
  constructor({ routes, response, path }: LogRequest, forMs: number) {
    this.#response = response
    this.#logs = routes.logs
    this.#clock = routes.clock
    this.#timer = routes.clock.setTimeout(() => this.#over(), forMs, true)
    this.#unwatch = routes.logs.watch(path, () => {
      this.#news = true
      this.#wake?.()
    })
    response.once('close', this.#onGone)
    if (response.destroyed) this.#ended = true
  }

  /** Resolves to true when there may be news, to false when it is over. */
  async next(): Promise<boolean> {
    while (!this.#news && !this.#isOver) await this.#woken()
    this.#news = false
    return !this.#isOver
  }

  /** Resolves to true when the socket takes more, to false when it is over. */
  async drained(): Promise<boolean> {
    const onDrain = () => this.#wake?.()
    this.#response.on('drain', onDrain)
    while (this.#response.writableNeedDrain && !this.#isOver) await this.#woken()
    this.#response.removeListener('drain', onDrain)
    return !this.#isOver
  }

  end(): void {
    this.#over()
    this.#clock.clearTimeout(this.#timer)
    this.#unwatch()
    this.#response.removeListener('close', this.#onGone)
  }

  get #isOver(): boolean {
    return this.#ended || this.#logs.closed
  }

  #over(): void {
    this.#ended = true
    this.#wake?.()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }
}
