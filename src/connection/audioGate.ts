// Live audio is worth something now or never: it does not wait behind more than about 100 ms of buffered bytes.
// What has to wait is kept for as long again, the oldest is dropped first, and everything dropped is counted.

import type { Payload } from './encoding.ts'

/** How much sound may lie in the socket, and how much more may wait before it. */
export const GATE_MS = 100

/** How soon to look again whether the socket has drained. */
export const PUMP_MS = 20

/** 16 kHz, 16 bit, mono: what speech recognisers are sent most; the guess until the real rate is known. */
const SPEECH_BYTES_PER_MS = 32
/** 8 kbit/s, the lowest voice codecs. */
const MIN_BYTES_PER_MS = 1
/** 192 kHz, 32 bit, stereo: anything faster is a file, not live. */
const MAX_BYTES_PER_MS = 1536
/** The rate is measured over this long, and a pause longer than `PAUSE_MS` is no part of it. */
const MEASURE_MS = 500
const PAUSE_MS = 1000

export class AudioGate {
  /** Chunks that never left. */
  dropped = 0
  #waiting: { readonly payload: Payload; readonly bytes: number }[] = []
  #waitingBytes = 0
  #bytesPerMs = SPEECH_BYTES_PER_MS
  #windowStart = 0
  #windowBytes = 0
  #lastAt = -Infinity

  get waiting(): number {
    return this.#waiting.length
  }

  /** Bytes in the socket that still let another chunk follow. */
  get limitBytes(): number {
    return this.#bytesPerMs * GATE_MS
  }

  /** A chunk of this size has come: may it go out at once? If not, it is to be kept. */
  admits(bytes: number, now: number, buffered: number): boolean {
    this.#measure(bytes, now)
    return this.waiting === 0 && buffered < this.limitBytes
  }

  /** Keeps a chunk; what no longer fits before it goes, the oldest first. */
  keep(payload: Payload, bytes: number): void {
    while (this.waiting > 0 && this.#waitingBytes + bytes > this.limitBytes) {
      this.next(0)
      this.dropped += 1
    }
    this.#waiting.push({ payload, bytes })
    this.#waitingBytes += bytes
  }

  /** The kept chunk that may go out now, if any. */
  next(buffered: number): Payload | undefined {
    const chunk = buffered < this.limitBytes ? this.#waiting.shift() : undefined
    this.#waitingBytes -= chunk?.bytes ?? 0
    return chunk?.payload
  }

  /** The line is gone: what waited is too old for the next one. */
  clear(): void {
    this.dropped += this.waiting
    this.#waiting = []
    this.#waitingBytes = 0
  }

  /** Learns how many bytes a millisecond of this sound has. */
  #measure(bytes: number, now: number): void {
    const elapsed = now - this.#windowStart
    const paused = now - this.#lastAt > PAUSE_MS
    if (paused || elapsed >= MEASURE_MS) {
      const rate = Math.min(MAX_BYTES_PER_MS, Math.max(MIN_BYTES_PER_MS, this.#windowBytes / elapsed))
      if (!paused) this.#bytesPerMs = rate
      this.#windowStart = now
      this.#windowBytes = 0
    }
    this.#lastAt = now
    this.#windowBytes += bytes
  }
}
