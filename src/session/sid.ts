// What can be the name of a session: looked at before anything is asked of a store in its name, because it comes from
// strangers, and stores make keys, paths and hash slots of it.

/** Letters, digits, "-" and "_": those of base64url, and of UUIDs. */
const SID = /^[A-Za-z0-9_-]{1,128}$/

/** Whether there can be a session of this name. */
export function isSid(name: string): boolean {
  return SID.test(name)
}
