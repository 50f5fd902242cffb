// Messages of one session that other processes have posted and that are on their way: each is told once what became of its own.

import type { PostFate } from '../session/sharedSessions.ts'

export class Posts {
  /** Who posted it, by its `seq` here. */
  readonly #from = new Map<number, string>()
  readonly #tell: (from: string, fate: PostFate) => void

  constructor(tell: (from: string, fate: PostFate) => void) {
    this.#tell = tell
  }

  add(seq: number, from: string): void {
    this.#from.set(seq, from)
  }

  /** Tells who posted it, if it was posted. */
  settle(seq: number, fate: PostFate): void {
    const from = this.#from.get(seq)
    if (from === undefined) return
    this.#from.delete(seq)
    this.#tell(from, fate)
  }

  /** Of what is still on its way nobody hears from here any more. */
  giveUp(): void {
    for (const seq of [...this.#from.keys()]) this.settle(seq, 'unknown')
  }
}
