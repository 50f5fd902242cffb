// What one connection has not read. While it is behind, frames are counted at what they cost, and of answers of which only
// the latest counts (pongs, acknowledgements) one is on its way and one waits: who asks without end and reads nothing
// makes us keep nothing.

import { ITEM_COST } from './MemoryBudget.ts'

/** The part of a `WebSocket` of `ws` that is written to. */
export interface FrameWriter {
  readonly bufferedAmount: number
}

/** Less than this is no backlog: it is on its way into the network. */
const BACKLOG_BYTES = 2048

/** Told when a frame has been taken by the network, or never will be. */
export type Written = () => void

export class SendBacklog {
  readonly #socket: FrameWriter
  readonly #now: () => number
  /** Frames of the backlog that have not been taken. */
  #frames = 0
  #underway = false
  #latest: Map<string, (written: Written) => void> | undefined
  #movedAt = 0
  readonly #taken: Written = () => {
    this.#frames -= 1
    this.#movedAt = this.#now()
  }

  constructor(socket: FrameWriter, now: () => number) {
    this.#socket = socket
    this.#now = now
  }

  /** What it holds, in bytes. */
  get cost(): number {
    return this.#socket.bufferedAmount + this.#frames * ITEM_COST
  }

  /** For how many milliseconds the reader has taken nothing; 0 when it is not behind. */
  get stuckMs(): number {
    return this.#frames === 0 ? 0 : this.#now() - this.#movedAt
  }

  /** Before a frame is written: what to hand on as its callback. A frame of no backlog needs none. */
  writing(): Written | undefined {
    if (this.#socket.bufferedAmount < BACKLOG_BYTES) return undefined
    if (this.#frames === 0) this.#movedAt = this.#now()
    this.#frames += 1
    return this.#taken
  }

  /**
   * Writes an answer of which only the latest counts, now or when the one before it has been taken.
   * @param kind answers of one kind replace each other
   */
  writeLatest(kind: string, write: (written: Written) => void): void {
    if (this.#underway) {
      this.#latest ??= new Map()
      // The order among kinds is that of their latest.
      this.#latest.delete(kind)
      this.#latest.set(kind, write)
      return
    }
    if (this.#socket.bufferedAmount < BACKLOG_BYTES) {
      write(nothing)
      return
    }
    this.#underway = true
    const taken = this.writing() ?? nothing
    write(() => {
      taken()
      this.#underway = false
      this.flush()
    })
  }

  /** Writes the answers that wait: what is written next must not overtake them. */
  flush(): void {
    const latest = this.#latest
    if (!latest || latest.size === 0) return
    this.#latest = undefined
    for (const write of latest.values()) write(this.writing() ?? nothing)
  }
}

function nothing(): void {}
