// The sessions of nodes that have died: somebody has to take them up, or nobody would say that they have expired.

import type { StoredSession } from '../session/store.ts'
import type { NodeLease } from './NodeLease.ts'
import type { SessionIndex } from './SessionIndex.ts'
import type { Claimed } from './sessionWire.ts'

/** So many are taken at a time. */
const AT_ONCE = 32

export class Orphans {
  readonly #index: SessionIndex
  readonly #lease: NodeLease
  readonly #inherit: (sid: string) => Promise<Claimed | undefined>

  constructor(index: SessionIndex, lease: NodeLease, inherit: (sid: string) => Promise<Claimed | undefined>) {
    this.#index = index
    this.#lease = lease
    this.#inherit = inherit
  }

  /** Takes them, a few at a time. Ends when the lease does. @throws StorageError when the engine fails */
  async *take(): AsyncGenerator<StoredSession> {
    for (const { node, lives } of await this.#index.nodes()) {
      if (lives || node === this.#lease.node) continue
      for await (const sids of this.#index.sidsOf(node)) {
        for (let at = 0; at < sids.length; at += AT_ONCE) {
          if (!this.#lease.holds) return
          const batch = sids.slice(at, at + AT_ONCE)
          const claimed = await Promise.all(batch.map((sid) => this.#inherit(sid)))
          // Taken, gone, or somebody else's: in the set of a dead node it has no business any more.
          for (const sid of batch) this.#index.remove(node, sid)
          for (const one of claimed) if (one) yield one.stored
        }
      }
      await this.#index.forget(node)
    }
  }
}
