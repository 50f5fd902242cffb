// What connections do: frames arrive, and ends notice that it is over.

import { CHANGE, type Connection } from './connections.ts'
import { CONNS, NODE, type Parts, type Visit } from './parts.ts'

export class Network {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** All that can happen on one connection. */
  ofConnection(row: Int32Array, slot: number, visit: Visit): void {
    const connection = this.#parts.conns.get(row[CONNS + slot] as number) as Connection
    const { up, down, clientOpen, serverOpen, node, client } = connection
    if (serverOpen) {
      const [item] = up
      const { stale } = this.#parts.servers.all.get(row[NODE + node] as number)
      if (item !== undefined && item > 0 && !stale && !this.#parts.isBusy(row, node, slot + 1))
        this.#toServer(row, slot, item, visit)
      const said = up.length === 1 && item !== undefined && item < 0 ? item : 0
      if (!clientOpen && (said !== 0 || !up.includes(-1009))) this.serverNotices(row, slot, true, said, visit)
      else if (this.#parts.left(row, 'cuts') > 0) this.serverNotices(row, slot, false, 0, visit)
    }
    if (clientOpen && client >= 0) {
      const [item] = down
      const last = down[down.length - 1]
      if (item !== undefined && item > 0) this.#toClient(row, slot, item, visit)
      else if (item !== undefined) this.#clientNotices(row, slot, true, -item, visit)
      if (!serverOpen && !(last !== undefined && last < 0)) this.#clientNotices(row, slot, true, 1006, visit)
      else if (this.#parts.left(row, 'cuts') > 0) this.#clientNotices(row, slot, false, 1006, visit)
    }
  }

  #toServer(row: Int32Array, slot: number, item: number, visit: Visit): void {
    const { node } = this.#parts.conns.get(row[CONNS + slot] as number) as Connection
    const frame = this.#parts.frames.get(item)
    const next = this.#parts.begin(row)
    const conn = slot + 1
    if (this.#isTooLarge(frame, 'c', this.#parts.scenario.tooLarge)) {
      // Something on the way does not carry it, and says so to both.
      this.#parts.change(next, slot, CHANGE.serverEnds, -1009)
      const violation = this.#parts.serverStep(
        next,
        node,
        this.#parts.events.id(`gone ${conn} 1006`),
        () => ({
          do: 'gone',
          conn,
          code: 1006,
        }),
      )
      this.#parts.tell(
        visit,
        next,
        true,
        () => `connection ${conn} ends with 1009 because of ${frame}`,
        violation,
      )
      return
    }
    this.#parts.change(next, slot, CHANGE.arriveUp, 0)
    const violation = this.#parts.serverStep(
      next,
      node,
      this.#parts.events.id(`frame ${conn} ${item}`),
      () => ({
        do: 'frame',
        conn,
        frame,
      }),
    )
    this.#parts.tell(visit, next, true, () => `node ${node} gets ${frame} on connection ${conn}`, violation)
  }

  #toClient(row: Int32Array, slot: number, item: number, visit: Visit): void {
    const { client } = this.#parts.conns.get(row[CONNS + slot] as number) as Connection
    const frame = this.#parts.frames.get(item)
    const next = this.#parts.begin(row)
    const conn = slot + 1
    if (this.#isTooLarge(frame, 's', this.#parts.scenario.tooLargeDown)) {
      // The client's socket does not take it: the server is told why, the client sees a broken line.
      this.#parts.change(next, slot, CHANGE.clientEnds, -1009)
      const violation = this.#parts.clientStep(next, client, this.#parts.events.id('closed 1006'), () => ({
        do: 'closed',
        code: 1006,
      }))
      this.#parts.tell(
        visit,
        next,
        true,
        () => `the client ends connection ${conn} with 1009 because of ${frame}`,
        violation,
      )
      return
    }
    this.#parts.change(next, slot, CHANGE.arriveDown, 0)
    const violation = this.#parts.clientStep(next, client, this.#parts.events.id(`frame ${item}`), () => ({
      do: 'frame',
      frame,
    }))
    this.#parts.tell(
      visit,
      next,
      true,
      () => `client ${client} gets ${frame} on connection ${conn}`,
      violation,
    )
  }

  #isTooLarge(frame: string, sender: string, places: readonly number[]): boolean {
    return places.some((place) => frame.endsWith(`:${sender}${place}`))
  }

  /** The server sees that a connection is over; `free`: nothing else could come of it. */
  serverNotices(row: Int32Array, slot: number, free: boolean, item: number, visit: Visit): void {
    const next = this.#parts.begin(row)
    if (!free && !this.#parts.spend(next, 'cuts')) return
    const { node } = this.#parts.conns.get(row[CONNS + slot] as number) as Connection
    const conn = slot + 1
    const code = item ? -item : 1006
    this.#parts.change(next, slot, CHANGE.serverEnds, 0)
    const violation = this.#parts.serverStep(
      next,
      node,
      this.#parts.events.id(`gone ${conn} ${code}`),
      () => ({
        do: 'gone',
        conn,
        code,
      }),
    )
    this.#parts.tell(
      visit,
      next,
      free,
      () => `node ${node} notices that connection ${conn} is over (${code})`,
      violation,
    )
  }

  #clientNotices(row: Int32Array, slot: number, free: boolean, code: number, visit: Visit): void {
    const next = this.#parts.begin(row)
    if (!free && !this.#parts.spend(next, 'cuts')) return
    const { client } = this.#parts.conns.get(row[CONNS + slot] as number) as Connection
    this.#parts.change(next, slot, CHANGE.clientEnds, 0)
    const violation = this.#parts.clientStep(next, client, this.#parts.events.id(`closed ${code}`), () => ({
      do: 'closed',
      code,
    }))
    this.#parts.tell(
      visit,
      next,
      free,
      () => `client ${client} notices that connection ${slot + 1} is over (${code})`,
      violation,
    )
  }
}
