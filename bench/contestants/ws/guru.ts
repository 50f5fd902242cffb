// Ours, with its defaults.

import { GuruConnection } from 'guru-comms/GuruConnection'
import type { MakeWs } from './contestant.ts'

export const guruConnection: MakeWs = (origin, on) => make(origin, 'off', on)

/** The same, lossless: numbered, acknowledged, kept until then. */
export const guruSession: MakeWs = (origin, on) => make(origin, 'required', on)

const make = (
  origin: string,
  session: 'off' | 'required',
  { onOpen, onMessage, onClose }: Parameters<MakeWs>[1],
) => {
  const connection = new GuruConnection({ url: `${origin}/ws`, session })
  connection.on('open', onOpen)
  connection.on('message', onMessage)
  if (onClose) connection.on('close', onClose)
  return {
    send: (message: object) => void connection.send(message),
    close: () => connection.dispose(),
  }
}
