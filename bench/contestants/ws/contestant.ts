// What every realtime contestant must do: stay connected, send objects, hand over received ones parsed.

export interface WsHooks {
  onOpen(): void
  onMessage(message: unknown): void
  /** The library holds that the connection is gone. */
  onClose?(): void
}

export interface WsContestant {
  send(message: object): void
  close(): void
}

/** Connects to the server at `origin` (`ws://host:port`); `onOpen` is called at every (re)connection. */
export type MakeWs = (origin: string, hooks: WsHooks) => WsContestant | Promise<WsContestant>
