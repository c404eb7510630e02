import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { flat, q } from '../api/queries';
import { may } from '../may';

/** The names of people and customers behind ids, as far as the reader may know them. */
export function useNames() {
  const session = useQuery(q.session).data;
  const users = flat(useInfiniteQuery({ ...q.users, enabled: may(session, 'users:read') }).data);
  const customers = flat(useInfiniteQuery({ ...q.customers, enabled: may(session, 'platform:read') }).data);
  const person = (id?: string) => users.find((u) => u.id === id);
  return {
    users,
    customers,
    user: (id?: string) => person(id)?.name || person(id)?.email || id,
    customer: (id?: string) => customers.find((c) => c.id === id)?.name ?? id,
    /** What a choice of customers offers. */
    choice: customers.map((c) => ({ value: c.id, label: c.name })),
    /** The operator's own people. */
    colleagues: users
      .filter((u) => u.role === 'operator')
      .map((u) => ({ value: u.id, label: u.name || u.email })),
  };
}
