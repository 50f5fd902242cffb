// What scale-out asks of a Redis or Valkey client: three methods, over the connections that the user already has.

/** A piece of a command. Bytes travel as they are, texts as UTF-8. */
export type RedisArgument = string | Uint8Array

/** What the engine answers: whole numbers as numbers, every kind of string as bytes. */
export type RedisReply = number | null | Uint8Array | readonly RedisReply[]

/**
 * A client, as this package uses it. Made by `fromIoredis`, `fromNodeRedis` or `fromGlide` from a client that is there
 * already, or written by hand.
 */
export interface RedisEngine {
  /**
   * Sends one command and resolves to its answer.
   * @param args the command and its arguments
   * @param key one of its keys: says which node of a cluster it goes to. `undefined`: any node
   * @throws or rejects with an Error. When it was the engine that answered with an error, its message begins as the
   *   engine's does (`NOSCRIPT ...`, `READONLY ...`, `OOM ...`)
   */
  command(args: readonly RedisArgument[], key: string | undefined): Promise<RedisReply>
  /**
   * Listens to a channel until the function that it resolves to is called. On a connection of its own (all channels share
   * it), that is made at the first call: a connection that listens can do nothing else.
   * While nobody answers it goes on trying.
   * @param onMessage given each message
   * @param onGap told when messages may have been missed, because the connection had been lost: what they would have said
   *   is then to be read
   */
  subscribe(
    channel: string,
    onMessage: (message: Uint8Array) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>>
  /** Lets go of what `subscribe` made. The user's client stays as it is. Never rejects. */
  close(): Promise<void>
}
