// One connection of the network: two queues of frames that lose nothing while both ends are open. Each end notices by itself that
// it is over. What a cut loses is what has not been delivered when the end that would get it notices: until then, frames
// are late, which is how a ghost lives. So one side's noticing is all a cut is, and no order of things is left out.

/** Plain data. `up` goes to the server; a number below 0 is a close code, the last thing its end says. */
export interface Connection {
  readonly client: number
  readonly node: number
  readonly clientOpen: boolean
  readonly serverOpen: boolean
  readonly up: readonly number[]
  readonly down: readonly number[]
}

export const keyOf = ({ client, node, clientOpen, serverOpen, up, down }: Connection): string =>
  `${client},${node},${Number(clientOpen)}${Number(serverOpen)}|${up.join()}|${down.join()}`

/** What happens to it; each is done with one number: a frame, or a close code as a number below 0. */
export const CHANGE = {
  /** The client sends. */
  up: 0,
  /** The server sends. */
  down: 1,
  /** A frame arrives at the server. */
  arriveUp: 2,
  arriveDown: 3,
  /** The client's end is over; below 0: and it says so. */
  clientEnds: 4,
  serverEnds: 5,
} as const

/** The connection after a change; `undefined` once both ends have forgotten it. */
export function changed(connection: Connection, change: number, item: number): Connection | undefined {
  const { up, down, clientOpen, serverOpen } = connection
  switch (change) {
    case CHANGE.up:
      // To an end that is gone: lost.
      return serverOpen ? { ...connection, up: [...up, item] } : connection
    case CHANGE.down:
      return clientOpen ? { ...connection, down: [...down, item] } : connection
    case CHANGE.arriveUp:
      return { ...connection, up: up.slice(1) }
    case CHANGE.arriveDown:
      return { ...connection, down: down.slice(1) }
    case CHANGE.clientEnds:
      if (!serverOpen) return undefined
      return { ...connection, clientOpen: false, down: [], up: item < 0 ? [...up, item] : up }
    default:
      if (!clientOpen) return undefined
      return { ...connection, serverOpen: false, up: [], down: item < 0 ? [...down, item] : down }
  }
}
