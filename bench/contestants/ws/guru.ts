// Ours, with its defaults.

import { GuruConnection } from 'guru-comms/GuruConnection'
import type { MakeWs } from './contestant.ts'

export const guruConnection: MakeWs = (origin, { onOpen, onMessage }) => {
  const connection = new GuruConnection({ url: `${origin}/ws` })
  connection.on('open', onOpen)
  connection.on('message', onMessage)
  return {
    send: (message) => void connection.send(message),
    close: () => connection.dispose(),
  }
}
