// What strangers, second owners and other servers do.

import { BOX, CLIENT, CONNS, NOBODY, NODE, type Parts, rxOf, type Visit } from './parts.ts'

export class Outsiders {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** All that they can do. */
  events(row: Int32Array, visit: Visit): void {
    if (this.#parts.left(row, 'strangers') > 0) {
      const { table } = this.#parts.servers.all.get(row[NODE] as number)
      for (const sid of table.sessions.keys()) {
        this.#stranger(row, sid, 'guessed', 'someone', visit)
        this.#stranger(row, sid, `k${sid.slice(1)}`, 'somebody else', visit)
      }
    }
    if (row[CLIENT + 1] === NOBODY && this.#parts.left(row, 'copies') > 0 && this.#isAtRest(row)) {
      const next = this.#parts.begin(row)
      this.#parts.spend(next, 'copies')
      next[BOX + 1] = next[BOX] as number
      next[CLIENT + 1] = this.#parts.clients.fresh()
      const box = this.#parts.boxes.get(row[BOX] as number)
      const violation = this.#parts.clientStep(next, 1, this.#parts.events.id(`restart ${row[BOX]}`), () => ({
        do: 'restart',
        box,
      }))
      this.#parts.forgetDisks(next)
      this.#parts.tell(
        visit,
        next,
        false,
        () => 'a second process begins with a copy of the outbox',
        violation,
      )
    }
    if (row[NODE + 1] !== NOBODY) for (let node = 0; node < 2; node += 1) this.#letGo(row, node, visit)
  }

  /** All that the client ever sends has its number, and is recorded: a copy that is taken later knows of everything. */
  #isAtRest(row: Int32Array): boolean {
    const { writer, state } = this.#parts.clients.all.get(row[CLIENT] as number)
    const isRecorded = !writer || (!writer.writing && writer.queue.length === 0)
    return isRecorded && state.peer.backlog.messages === 0 && this.#parts.left(row, 'sends') === 0
  }

  #stranger(row: Int32Array, sid: string, key: string, principal: string, visit: Visit): void {
    const next = this.#parts.begin(row)
    this.#parts.spend(next, 'strangers')
    let slot = 0
    while (next[CONNS + slot] !== 0) slot += 1
    const conn = slot + 1
    const frame = JSON.stringify({ t: 'resume', sid, key, epoch: 99, rx: 0 })
    next[CONNS + slot] = this.#parts.conns.id({
      client: NOBODY,
      node: 0,
      clientOpen: true,
      serverOpen: true,
      up: [this.#parts.frames.id(frame)],
      down: [],
    })
    const violation = this.#parts.serverStep(
      next,
      0,
      this.#parts.events.id(`arrived ${conn} ${principal}`),
      () => ({
        do: 'arrived',
        conn,
        principal,
      }),
    )
    this.#parts.tell(visit, next, false, () => `a stranger says ${frame} on connection ${conn}`, violation)
  }

  /** A node that has been asked for a session by another gives it up, once its handlers have settled and all is recorded. */
  #letGo(row: Int32Array, node: number, visit: Visit): void {
    const other = this.#parts.servers.all.get(row[NODE + 1 - node] as number)
    const { table, stale } = this.#parts.servers.all.get(row[NODE + node] as number)
    if (stale) return
    for (const { sid, read } of other.lookUps) {
      if (read || (table.sessions.get(sid)?.state.phase ?? 'over') === 'over') continue
      const next = this.#parts.begin(row)
      const rx = JSON.stringify(rxOf(this.#parts.shelfOf(row)))
      const violation =
        this.#parts.serverStep(next, node, this.#parts.events.id(`letGo ${sid}`), () => ({
          do: 'letGo',
          sid,
        })) || this.#parts.witness(next, this.#parts.facts.id(`letGo node${node} ${rx} ${sid}`))
      this.#parts.tell(visit, next, true, () => `node ${node} lets go of ${sid}`, violation)
    }
  }
}
