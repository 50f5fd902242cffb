// Answers that nobody waits for with urgency (a pong, a `flushed`): while the other side does not read, at most one pong is
// kept, and of the others how many, so that who asks and never reads costs nothing.

import { encodeControl } from './control.ts'
import type { Frame } from './frames.ts'

/** Where answers go. */
export interface AnswerLine {
  now(): number
  readonly isCongested: boolean
  write(frame: Frame): void
}

/** How soon it is looked again whether the other side has begun to read. */
const RETRY_MS = 100

export class PendingAnswers {
  readonly #line: AnswerLine
  /** What the latest ping carried that has not been answered. */
  #pong: number | undefined
  /** How often each stream's `flushed` is still to be said. */
  #flushed: Map<number, number> | undefined
  #retryAt = Infinity

  constructor(line: AnswerLine) {
    this.#line = line
  }

  /** When `send` is due; `Infinity` for never. */
  get wakeAt(): number {
    return this.#retryAt
  }

  pong(at: number): void {
    this.#pong = at
    this.send(this.#line.now())
  }

  flushed(stream: number): void {
    this.#flushed ??= new Map()
    this.#flushed.set(stream, (this.#flushed.get(stream) ?? 0) + 1)
    this.send(this.#line.now())
  }

  /** Whether what is sent on a stream now would overtake an answer. */
  owes(stream: number): boolean {
    return this.#flushed?.has(stream) ?? false
  }

  /** Sends what the other side reads, and plans the rest. */
  send(now: number): void {
    while (this.#pong !== undefined && !this.#line.isCongested) {
      const at = this.#pong
      this.#pong = undefined
      this.#line.write(encodeControl({ t: 'pong', at }))
    }
    for (const [stream, times] of this.#flushed ?? []) {
      let left = times
      for (; left > 0 && !this.#line.isCongested; left -= 1)
        this.#line.write(encodeControl({ t: 'flushed', stream }))
      if (left > 0) this.#flushed?.set(stream, left)
      else this.#flushed?.delete(stream)
    }
    if (this.#flushed?.size === 0) this.#flushed = undefined
    this.#retryAt = this.#pong === undefined && !this.#flushed ? Infinity : now + RETRY_MS
  }

  /** The connection is gone, and with it who has asked. */
  clear(): void {
    this.#pong = undefined
    this.#flushed = undefined
    this.#retryAt = Infinity
  }
}
