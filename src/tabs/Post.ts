// What a tab says to the others, gathered for the rest of a turn: one envelope costs the browser what one frame does.

import type { Tabs } from './browserTabs.ts'
import { type Envelope, type Frame, readEnvelope, VERSION } from './protocol.ts'

/** More than this the one who hears them would have to work through in one go. */
const FRAMES = 256

export class Post {
  readonly #from: string
  readonly #tabs: Tabs
  #frames: Frame[] = []
  /** Whether this tab leads. */
  leads = false

  constructor(from: string, tabs: Tabs) {
    this.#from = from
    this.#tabs = tabs
  }

  send(frame: Frame): void {
    this.#frames.push(frame)
    if (this.#frames.length === 1) queueMicrotask(() => this.flush())
    else if (this.#frames.length >= FRAMES) this.flush()
  }

  /** Sends what has been gathered now. */
  flush(): void {
    const frames = this.#frames
    if (frames.length === 0) return
    this.#frames = []
    this.#tabs.post({ v: VERSION, from: this.#from, leads: this.leads, frames })
  }

  /** What came of another tab, or what is wrong with it. */
  read(data: unknown): Envelope | string {
    return readEnvelope(data)
  }
}
