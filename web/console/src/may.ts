import type { Session } from './api/shapes';

/** Whether this person may; the server decides, this only keeps closed doors out of sight. */
export function may(session: Session | undefined, permission: string | undefined): boolean {
  if (permission === undefined) return true;
  const held = session?.permissions;
  if (!held) return true;
  return held.includes(permission) || held.includes('*');
}

/** Whether this process has the room at all; a server that does not say is asked by opening it. */
export function offers(session: Session | undefined, feature: string | undefined): boolean {
  if (feature === undefined) return true;
  const features = session?.features;
  return !features || features.includes(feature);
}
