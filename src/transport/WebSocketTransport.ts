// How a way to open a WebSocket is asked, and what it promises. The request and the platform that needs it are the
// connection's.

import type { LineSocket, Platform, SocketRequest, SocketSink } from '../connection/LineSocket.ts'

export type { LineSocket, SocketRequest, SocketSink }

export type OpenWebSocket = Platform['open']
