// What the app does with its sessions: it says back what it hears.

/** @param {import('guru-comms/server').Session} session */
export function onSession(session) {
  session.handle((message) => {
    session.send({ echo: message })
  })
}
