// Names for messages that no other client will pick.

/** 128 random bits as 32 hexadecimal digits. Unlike `crypto.randomUUID` it works on pages without TLS, too. */
export function randomId(): string {
  let id = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) id += byte.toString(16).padStart(2, '0')
  return id
}
