// All that can happen next in a world of client processes, server processes, connections between them and stores: every
// step of the machines that ship, every fault, in every order. A state is a row of numbers, one for each part of the world
// that changes by itself (a process with all it holds, a disk, a connection, what the apps saw, what is left of the budget).
//
// What is left out because it changes nothing that can be seen:
// - A process that dies starts again in the same step. While it is dead it does nothing, nobody else touches its disk, and no
//   connection to it comes about; so whatever happens meanwhile could as well happen after its start.
// - Nothing lies between the recording of a write and the step that is told of it. A death in between differs from one right
//   after that step only by the frames which that step sends, and these can be lost with their connection anyway.
// - A new connection and the client's first frame on it are one step: the server has nothing to say before it.

import { backlogEntries } from '../../src/session/backlog.ts'
import type { SessionWrite } from '../../src/session/store.ts'
import type { WriterState } from '../../src/session/storeWriter.ts'
import type { ClientEvent } from './clientProcess.ts'
import { CHANGE, type Connection } from './connections.ts'
import { type Box, emptyBox } from './disk.ts'
import type { Engine } from './engine.ts'
import { clientMenu, serverMenu } from './menus.ts'
import { unanswered } from './monitor.ts'
import { Network } from './network.ts'
import { Outsiders } from './outsiders.ts'
import {
  ATTEMPTS,
  BOX,
  BUDGET,
  CLIENT,
  CONNS,
  HISTORY,
  type Item,
  MAX_CONNS,
  NOBODY,
  NODE,
  Parts,
  REFUSED,
  rxOf,
  SHELF,
  UNREAD,
  type Visit,
  WIDTH,
} from './parts.ts'
import type { Budget, Scenario } from './scenario.ts'
import type { KeptSession, ServerEvent } from './serverProcess.ts'

/** Writes whose being recorded makes no machine do anything. */
const QUIET: ReadonlySet<SessionWrite['kind']> = new Set(['accept', 'drop', 'void', 'prune', 'end'])

/** What a session has under way to its store; nothing when that waits for more. */
const underWay = (writer: WriterState | null): readonly SessionWrite[] => writer?.underWay ?? []

/** Whether something of a session is not recorded. */
const isQuiet = (writes: readonly SessionWrite[]) =>
  writes.length > 0 && writes.every(({ kind }) => QUIET.has(kind))

const isRecording = ({ writer }: KeptSession) =>
  writer !== null && (writer.writing || writer.queue.length > 0)

export class World {
  readonly #parts: Parts
  readonly #network: Network
  readonly #outsiders: Outsiders
  readonly #clientMenus: Item<ClientEvent>[][] = []
  readonly #serverMenus: Item<ServerEvent>[][] = []
  readonly #mentions = new Map<number, readonly string[]>()

  constructor(engine: Engine, scenario: Scenario) {
    this.#parts = new Parts(engine, scenario)
    this.#network = new Network(this.#parts)
    this.#outsiders = new Outsiders(this.#parts)
  }

  initial(): Int32Array {
    const row = new Int32Array(WIDTH)
    const { clients, nodes, budget } = this.#parts.scenario
    row[CLIENT] = this.#parts.clients.fresh()
    row[CLIENT + 1] = clients === 2 ? this.#parts.clients.fresh() : NOBODY
    row[NODE] = this.#parts.servers.fresh()
    // Names of sessions are never made twice, on no node.
    row[NODE + 1] = nodes === 2 ? this.#parts.servers.fresh(4) : NOBODY
    row[BOX] = this.#parts.boxes.id(emptyBox())
    row[BOX + 1] = this.#parts.boxes.id(emptyBox())
    row[SHELF] = this.#parts.shelves.id({})
    row[HISTORY] = this.#parts.histories.id({})
    row[BUDGET] = this.#parts.budgets.id(budget)
    this.#parts.forgetDisks(row)
    return row
  }

  /** How many different parts there are. */
  get sizes(): Record<string, number> {
    return {
      clients: this.#parts.clients.all.size,
      servers: this.#parts.servers.all.size,
      connections: this.#parts.conns.size,
      histories: this.#parts.histories.size,
      frames: this.#parts.frames.size,
    }
  }

  /** Tells of each state that can follow `row`. */
  successors(row: Int32Array, visit: Visit): void {
    if (this.#forced(row, visit)) return
    for (let who = 0; who < 2; who += 1) if (row[CLIENT + who] !== NOBODY) this.#ofClient(row, who, visit)
    for (let node = 0; node < 2; node += 1) if (row[NODE + node] !== NOBODY) this.#ofNode(row, node, visit)
    for (let slot = 0; slot < MAX_CONNS; slot += 1)
      if (row[CONNS + slot] !== 0) this.#network.ofConnection(row, slot, visit)
    this.#outsiders.events(row, visit)
  }

  /** What is wrong with a state in which nothing happens by itself any more; empty when all is well. */
  unfinished(row: Int32Array): string {
    const left: string[] = []
    /** Sessions that wait for a client that has stopped, until they expire. */
    const waitsFor: string[] = []
    for (let who = 0; who < 2; who += 1) {
      if (row[CLIENT + who] === NOBODY) continue
      const { state, names, stopped, writer } = this.#parts.clients.all.get(row[CLIENT + who] as number)
      if (stopped === '' && state.phase !== 'up') return `client ${who} is ${state.phase}, and stays so`
      if (stopped !== '' && stopped !== 'closed') waitsFor.push(state.peer.sid)
      const [name] = names
      if (!name) continue
      if (stopped === '' || stopped === 'closed')
        return `client ${who} is never told what became of ${name[1]}`
      // Whoever stops without ending its session leaves all that it has not been told about to who goes on with it.
      const { session, waiting } = this.#parts.boxOf(row, who)
      const isRead = writer && row[BOX + who] !== UNREAD
      const kept = isRead
        ? [...(session?.messages ?? []), ...waiting]
        : [...state.peer.outbox.ring, ...backlogEntries(state.peer.backlog)]
      const gone = names.find(([seq]) => !kept.some((entry) => entry?.seq === seq))
      if (gone) return `client ${who} stops (${stopped}), and ${gone[1]} is gone`
      left.push(...names.map(([, message]) => message))
    }
    for (let node = 0; node < 2; node += 1) {
      if (row[NODE + node] === NOBODY) continue
      const { names } = this.#parts.servers.all.get(row[NODE + node] as number)
      const open = names.find(([sid]) => !waitsFor.includes(sid))
      if (open) return `node ${node} is never told what became of ${open[2]}`
      left.push(...names.map(([, , message]) => message))
    }
    return unanswered(this.#parts.histories.get(row[HISTORY] as number), left)
  }

  /**
   * Steps that are taken before all others (an ample set of one): they commute with everything else that can happen, nobody
   * sees them, and they cannot follow each other for ever. So what comes after them covers what could have come before.
   * - A write that is told to nobody, on a disk that nobody is ever going to read.
   * - The end of a session that nobody can resume any more.
   * - A server forgets a connection on which nothing ever came, and nothing can.
   */
  #forced(row: Int32Array, visit: Visit): boolean {
    for (let who = 0; who < 2; who += 1) {
      if (row[CLIENT + who] === NOBODY || row[BOX + who] !== UNREAD) continue
      const { writer, runtime } = this.#parts.clients.all.get(row[CLIENT + who] as number)
      if (isQuiet(underWay(writer)) && runtime.held.length === 0) {
        this.#recordClient(row, who, visit)
        return true
      }
    }
    for (let node = 0; node < 2; node += 1) {
      if (row[NODE + node] === NOBODY) continue
      const { table } = this.#parts.servers.all.get(row[NODE + node] as number)
      if (row[SHELF] === UNREAD)
        for (const [sid, { state, writer, runtime }] of table.sessions) {
          const writes = underWay(writer)
          const isTold = !isQuiet(writes) || runtime.held.length > 0
          if (writes.length === 0 || (isTold && state.phase !== 'over')) continue
          this.#record(row, node, sid, visit)
          return true
        }
      for (const [sid, { state }] of table.sessions) {
        if (state.phase !== 'detached' || !this.#isAbandoned(row, sid)) continue
        const code = this.#parts.events.id(`expire ${sid}`)
        const event: ServerEvent = { do: 'expire', sid }
        this.#nodeDoes(row, node, { code, event, label: `lets ${sid} expire`, spend: undefined }, visit)
        return true
      }
    }
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.#parts.conns.get(row[CONNS + slot] as number)
      if (!conn?.serverOpen || conn.clientOpen || conn.up.length > 0) continue
      const { table } = this.#parts.servers.all.get(row[NODE + conn.node] as number)
      if (table.connections.get(slot + 1)?.phase !== 'fresh') continue
      this.#network.serverNotices(row, slot, true, 0, visit)
      return true
    }
    return false
  }

  // What processes do by themselves, and what their apps want.

  #ofClient(row: Int32Array, who: number, visit: Visit): void {
    const id = row[CLIENT + who] as number
    const { writer, stopped } = this.#parts.clients.all.get(id)
    if (underWay(writer).length > 0) this.#recordClient(row, who, visit)
    let menu = this.#clientMenus[id]
    if (menu === undefined) {
      menu = clientMenu(this.#parts.clients.all.get(id), this.#parts.scenario.budget).map((one) => ({
        ...one,
        code: this.#parts.events.id(one.code),
      }))
      this.#clientMenus[id] = menu
    }
    for (const item of menu) this.#clientDoes(row, who, item, visit)
    if (stopped !== '') return
    if (this.#parts.slotOf(row, who) < 0 && !this.#isRefusing(row, who))
      for (let node = 0; node < 2; node += 1)
        if (row[NODE + node] !== NOBODY) this.#connect(row, who, node, visit)
    const sends: keyof Budget = who === 0 ? 'sends' : 'sends2'
    const left = this.#parts.left(row, sends)
    if (left > 0) {
      const place = (this.#parts.scenario.budget[sends] ?? 0) - left + 1
      const message = `${who === 0 ? 'c' : 'd'}${place}`
      const bytes = this.#parts.scenario.tooLarge.includes(place) ? 9 : message.length
      const event: ClientEvent = {
        do: 'send',
        message,
        bytes,
        expires: this.#parts.scenario.expiring.includes(place),
      }
      const code = this.#parts.events.id(`send ${message}`)
      this.#clientDoes(row, who, { code, event, label: `sends ${message}`, spend: sends }, visit)
    }
    if (this.#parts.left(row, 'clientDeaths') > 0) this.#clientDies(row, who, 'clientDeaths', visit)
    if (this.#parts.left(row, 'deaths') > 0) this.#clientDies(row, who, 'deaths', visit)
  }

  #clientDoes(row: Int32Array, who: number, item: Item<ClientEvent>, visit: Visit): void {
    const { event, label, spend, code } = item
    if (spend && this.#parts.left(row, spend) === 0) return
    const next = this.#parts.begin(row)
    if (spend) this.#parts.spend(next, spend)
    const violation = this.#parts.clientStep(next, who, code, () => event)
    this.#parts.tell(visit, next, spend === undefined, () => `client ${who} ${label}`, violation)
  }

  #recordClient(row: Int32Array, who: number, visit: Visit): void {
    const writes = underWay(this.#parts.clients.all.get(row[CLIENT + who] as number).writer)
    const next = this.#parts.begin(row)
    const before = row[BOX + who] as number
    const after = this.#parts.boxAfter(before, row[CLIENT + who] as number, writes)
    next[BOX + who] = after
    const violation =
      after === REFUSED
        ? `the client's store is asked for what it must refuse: ${JSON.stringify(writes)}`
        : this.#parts.clientStep(next, who, this.#parts.events.id('stored'), () => ({ do: 'stored' }))
    this.#parts.tell(
      visit,
      next,
      true,
      () => `the store of client ${who} has recorded ${JSON.stringify(writes)}`,
      violation,
    )
  }

  #connect(row: Int32Array, who: number, node: number, visit: Visit): void {
    const next = this.#parts.begin(row)
    let slot = 0
    while (slot < MAX_CONNS && next[CONNS + slot] !== 0) slot += 1
    if (slot === MAX_CONNS) throw new Error('the scenario needs more connections at once')
    next[CONNS + slot] = this.#parts.conns.id({
      client: who,
      node,
      clientOpen: true,
      serverOpen: true,
      up: [],
      down: [],
    })
    next[ATTEMPTS] = (next[ATTEMPTS] as number) + 1
    const principal = this.#parts.scenario.asks ? undefined : 'someone'
    const conn = slot + 1
    const violation =
      this.#parts.serverStep(next, node, this.#parts.events.id(`arrived ${conn}`), () => ({
        do: 'arrived',
        conn,
        principal,
      })) ||
      this.#parts.clientStep(next, who, this.#parts.events.id('connected'), () => ({
        do: 'connected',
        auth: this.#parts.scenario.asks ? 'someone' : '',
      })) ||
      ((next[ATTEMPTS] as number) > this.#parts.scenario.attempts ? 'the client reconnects endlessly' : '')
    this.#parts.tell(
      visit,
      next,
      true,
      () => `client ${who} connects to node ${node}: connection ${conn}`,
      violation,
    )
  }

  #clientDies(row: Int32Array, who: number, budget: keyof Budget, visit: Visit): void {
    const next = this.#parts.begin(row)
    if (!this.#parts.spend(next, budget)) return
    const slot = this.#parts.slotOf(next, who)
    if (slot >= 0) this.#parts.change(next, slot, CHANGE.clientEnds, 0)
    const { clientDurable } = this.#parts.scenario
    const boxId = row[BOX + who] as number
    const box = clientDurable ? this.#parts.boxes.get(boxId) : emptyBox()
    const rx = box.session ? { [box.session.sid]: box.session.rx } : {}
    const owns = clientDurable ? '' : who === 0 ? 'c' : 'd'
    const violation =
      this.#parts.witness(next, this.#parts.facts.id(`died client${who} ${JSON.stringify(rx)} ${owns}`)) ||
      this.#parts.clientStep(
        next,
        who,
        this.#parts.events.id(`restart ${clientDurable ? boxId : -1}`),
        () => ({
          do: 'restart',
          box,
        }),
      )
    this.#parts.forgetDisks(next)
    this.#parts.tell(visit, next, false, () => `client ${who} dies, and starts again`, violation)
  }

  #ofNode(row: Int32Array, node: number, visit: Visit): void {
    const id = row[NODE + node] as number
    const { table, lookUps, stale } = this.#parts.servers.all.get(id)
    let menu = this.#serverMenus[id]
    if (menu === undefined) {
      menu = serverMenu(this.#parts.servers.all.get(id), this.#parts.scenario.budget).map((one) => ({
        ...one,
        code: this.#parts.events.id(one.code),
      }))
      this.#serverMenus[id] = menu
    }
    for (const item of menu) this.#nodeDoes(row, node, item, visit)
    for (const [sid, { writer }] of table.sessions)
      if (underWay(writer).length > 0) this.#record(row, node, sid, visit)
    if (stale) {
      if (this.#parts.left(row, 'serverDeaths') > 0) this.#nodeDies(row, node, 'serverDeaths', visit)
      return
    }
    lookUps.forEach(({ sid, read }, index) => {
      const box = this.#parts.shelfOf(row)[sid]
      // It is read after all that this process had written of it.
      const known = table.sessions.get(sid)
      if (read || (known && isRecording(known))) return
      if (box?.free) {
        this.#claimFree(row, node, index, sid, box, visit)
        return
      }
      if (this.#isHeldElsewhere(row, node, sid)) return
      const code = this.#parts.events.id(`read ${index} ${box ? this.#parts.boxes.id(box) : -1}`)
      const event: ServerEvent = {
        do: 'read',
        index,
        box: box && { session: box.session, waiting: box.waiting },
      }
      this.#nodeDoes(
        row,
        node,
        { code, event, label: `has ${sid} read from the store`, spend: undefined },
        visit,
        (next) => this.#parts.claim(next, sid, node),
      )
    })
    const left = this.#parts.left(row, 'pushes')
    // The server's app sends in the session that began last.
    const alive = [...table.sessions].filter(([, { state }]) => state.phase !== 'over').map(([one]) => one)
    const [sid] = left > 0 ? alive.sort().slice(-1) : []
    if (sid !== undefined) {
      const place = (this.#parts.scenario.budget.pushes ?? 0) - left + 1
      const message = `s${place}`
      const bytes = this.#parts.scenario.tooLargeDown.includes(place) ? 9 : message.length
      const event: ServerEvent = { do: 'send', sid, message, bytes }
      const code = this.#parts.events.id(`send ${message} ${sid}`)
      this.#nodeDoes(row, node, { code, event, label: `sends ${message} in ${sid}`, spend: 'pushes' }, visit)
    }
    if (this.#parts.scenario.lookUp || this.#parts.scenario.nodes === 2) this.#takeUp(row, node, visit)
    if (this.#parts.left(row, 'serverDeaths') > 0) this.#nodeDies(row, node, 'serverDeaths', visit)
    if (this.#parts.left(row, 'deaths') > 0) this.#nodeDies(row, node, 'deaths', visit)
  }

  /** Sessions that nobody asks for any more are taken up in the end, so that they expire. */
  #takeUp(row: Int32Array, node: number, visit: Visit): void {
    for (const [sid, box] of Object.entries(this.#parts.shelfOf(row))) {
      const isKnown = [0, 1].some((one) => {
        if (row[NODE + one] === NOBODY) return false
        return this.#parts.servers.all.get(row[NODE + one] as number).table.sessions.has(sid)
      })
      if (isKnown || !this.#isAbandoned(row, sid)) continue
      const code = this.#parts.events.id(`takeUp ${sid} ${this.#parts.boxes.id(box)}`)
      this.#nodeDoes(
        row,
        node,
        { code, event: { do: 'takeUp', box }, label: `takes ${sid} up`, spend: undefined },
        visit,
        (next) => this.#parts.claim(next, sid, node),
      )
    }
  }

  /** A session whose owner's lease has run out, whatever that one is still at: from now on it does not count. */
  #claimFree(row: Int32Array, node: number, index: number, sid: string, box: Box, visit: Visit): void {
    const rx = JSON.stringify(rxOf(this.#parts.shelfOf(row)))
    const code = this.#parts.events.id(`read ${index} ${this.#parts.boxes.id(box)}`)
    const event: ServerEvent = { do: 'read', index, box: { session: box.session, waiting: box.waiting } }
    const next = this.#parts.begin(row)
    this.#parts.claim(next, sid, node)
    const violation =
      this.#parts.witness(next, this.#parts.facts.id(`letGo node0 ${rx} ${sid}`)) ||
      this.#parts.witness(next, this.#parts.facts.id(`letGo node1 ${rx} ${sid}`)) ||
      this.#parts.serverStep(next, node, code, () => event)
    this.#parts.tell(
      visit,
      next,
      true,
      () => `node ${node} takes ${sid}, whose owner's lease has run out`,
      violation,
    )
  }

  #nodeDoes(
    row: Int32Array,
    node: number,
    item: Item<ServerEvent>,
    visit: Visit,
    also: (next: Int32Array) => void = () => {},
  ): void {
    const { event, label, spend, code } = item
    if (spend && this.#parts.left(row, spend) === 0) return
    const next = this.#parts.begin(row)
    if (spend) this.#parts.spend(next, spend)
    if (event.do === 'lapse') this.#parts.free(next, node)
    also(next)
    const violation = this.#parts.serverStep(next, node, code, () => event)
    this.#parts.tell(visit, next, spend === undefined, () => `node ${node} ${label}`, violation)
  }

  #record(row: Int32Array, node: number, sid: string, visit: Visit): void {
    const process = row[NODE + node] as number
    const next = this.#parts.begin(row)
    const shelf = this.#parts.shelfAfter(row[SHELF] as number, process, sid, node)
    const after = shelf !== REFUSED
    if (after) next[SHELF] = shelf
    const outcome = after ? 'stored' : 'stale'
    const code = this.#parts.events.id(`${outcome} ${sid}`)
    const violation = this.#parts.serverStep(next, node, code, () => ({ do: outcome, sid }))
    const batch = () =>
      JSON.stringify(underWay(this.#parts.servers.all.get(process).table.sessions.get(sid)?.writer ?? null))
    this.#parts.tell(
      visit,
      next,
      true,
      () => `the store of node ${node} ${after ? 'has recorded' : 'refuses'} ${batch()}`,
      violation || (after || this.#parts.isShared ? '' : 'a write of the only owner is refused'),
    )
  }

  #nodeDies(row: Int32Array, node: number, budget: keyof Budget, visit: Visit): void {
    const next = this.#parts.begin(row)
    if (!this.#parts.spend(next, budget)) return
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.#parts.conns.get(next[CONNS + slot] as number)
      if (conn?.node === node && conn.serverOpen) this.#parts.change(next, slot, CHANGE.serverEnds, 0)
    }
    const { serverDurable, lookUp, nodes } = this.#parts.scenario
    const shelfId = row[SHELF] as number
    const shelf = serverDurable ? this.#parts.shelves.get(shelfId) : {}
    const rx = rxOf(shelf)
    // What it finds at its start: with several nodes, or when asked to, nothing until somebody comes for it.
    const found = lookUp || nodes === 2 ? {} : shelf
    const owns = serverDurable ? '' : 's'
    const violation =
      this.#parts.witness(next, this.#parts.facts.id(`died node${node} ${JSON.stringify(rx)} ${owns}`)) ||
      this.#parts.serverStep(
        next,
        node,
        this.#parts.events.id(`restart ${serverDurable && !lookUp ? shelfId : -1}`),
        () => ({
          do: 'restart',
          shelf: found,
        }),
      )
    this.#parts.forgetDisks(next)
    this.#parts.tell(visit, next, false, () => `node ${node} dies, and starts again`, violation)
  }

  // What is asked about a state.

  #isHeldElsewhere(row: Int32Array, node: number, sid: string): boolean {
    if (row[NODE + 1 - node] === NOBODY) return false
    const { table, running, lookUps } = this.#parts.servers.all.get(row[NODE + 1 - node] as number)
    // Whoever has let go of it lets the other have it.
    const { owed } = this.#parts.servers.all.get(row[NODE + node] as number)
    if (owed.includes(sid) && lookUps.some((one) => !one.read && one.sid === sid)) return true
    // Whoever has read it owns it.
    const isRead = lookUps.some((one) => one.read && one.sid === sid)
    return isRead || table.sessions.has(sid) || running.some((one) => one.sid === sid)
  }

  /** No client is ever going to resume the session, and no frame on its way names it. */
  #isAbandoned(row: Int32Array, sid: string): boolean {
    for (let who = 0; who < 2; who += 1) {
      if (row[CLIENT + who] === NOBODY) continue
      const { stopped, state } = this.#parts.clients.all.get(row[CLIENT + who] as number)
      if (stopped === '' && state.peer.sid === sid) return false
    }
    for (let slot = 0; slot < MAX_CONNS; slot += 1)
      if (this.#mentionsOf(row[CONNS + slot] as number).includes(sid)) return false
    for (let node = 0; node < 2; node += 1)
      if (row[NODE + node] !== NOBODY) {
        const { lookUps, checks } = this.#parts.servers.all.get(row[NODE + node] as number)
        if (checks.length > 0 || lookUps.some((one) => one.sid === sid)) return false
      }
    // A client that dies may find it on its disk.
    for (let who = 0; who < 2; who += 1) if (this.#parts.boxOf(row, who).session?.sid === sid) return false
    return true
  }

  /**
   * A client that refused a message for its size has said so on the old connection before it makes the next one; that this
   * is heard first is taken for granted. Else the server could be made to send the same message again and again.
   */
  #isRefusing(row: Int32Array, who: number): boolean {
    for (let slot = 0; slot < MAX_CONNS; slot += 1) {
      const conn = this.#parts.conns.get(row[CONNS + slot] as number)
      if (conn?.client === who && conn.up.includes(-1009)) return true
    }
    return false
  }

  /** The sessions that frames under way name. */
  #mentionsOf(id: number): readonly string[] {
    if (id === 0) return []
    let sids = this.#mentions.get(id)
    if (sids === undefined) {
      const { up, down, clientOpen } = this.#parts.conns.get(id) as Connection
      sids = [...up, ...(clientOpen ? down : [])].flatMap(
        (item) => (item > 0 && /"sid":"(\w+)"/.exec(this.#parts.frames.get(item))?.[1]) || [],
      )
      this.#mentions.set(id, sids)
    }
    return sids
  }
}
