// The sessions of nodes that have died: somebody has to take them up, or nobody would say that they have expired.

import type { StoredSession } from '../session/store.ts'
import type { NodeLease } from './NodeLease.ts'
import type { SessionIndex } from './SessionIndex.ts'
import type { Claimed } from './sessionWire.ts'

/** So many are taken at a time. */
const AT_ONCE = 32
/** A dead node that left nothing is looked at so often before it is forgotten. */
const LOOKS = 4

export class Orphans {
  readonly #index: SessionIndex
  readonly #lease: NodeLease
  readonly #inherit: (sid: string) => Promise<Claimed | undefined>
  readonly #looks = new Map<string, number>()

  constructor(index: SessionIndex, lease: NodeLease, inherit: (sid: string) => Promise<Claimed | undefined>) {
    this.#index = index
    this.#lease = lease
    this.#inherit = inherit
  }

  /** Takes them, a few at a time. Ends when the lease does. @throws StorageError when the engine fails */
  async *take(): AsyncGenerator<StoredSession> {
    const nodes = await this.#index.nodes()
    for (const known of this.#looks.keys())
      if (!nodes.some(({ node }) => node === known)) this.#looks.delete(known)
    for (const { node, lives } of nodes) {
      if (lives || node === this.#lease.node) continue
      for await (const sids of this.#index.sidsOf(node)) {
        for (let at = 0; at < sids.length; at += AT_ONCE) {
          if (!this.#lease.holds) return
          const batch = sids.slice(at, at + AT_ONCE)
          const claims = await Promise.allSettled(batch.map((sid) => this.#inherit(sid)))
          for (const [index, claim] of claims.entries()) {
            if (claim.status === 'rejected') continue
            // Taken, gone, or somebody else's: in the set of a dead node it has no business any more.
            this.#index.remove(node, batch[index] as string)
            if (claim.value) yield claim.value.stored
          }
          const failed = claims.find((claim) => claim.status === 'rejected')
          if (failed) throw failed.reason
        }
      }
      // What its last commands have done, that were under way when it died, has to be seen, too.
      const looks = (this.#looks.get(node) ?? 0) + 1
      this.#looks.set(node, looks)
      if (looks < LOOKS || !(await this.#index.forget(node))) continue
      this.#looks.delete(node)
    }
  }
}
