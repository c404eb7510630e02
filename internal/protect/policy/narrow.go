package policy

import (
	"fmt"
	"reflect"
	"slices"
)

// clone copies a document with everything that hangs on it.
func (d *Document) clone() *Document {
	out := &Document{}
	copyInto(reflect.ValueOf(out).Elem(), reflect.ValueOf(d).Elem())
	return out
}

func copyInto(to, from reflect.Value) {
	switch {
	case from.Kind() == reflect.Struct && !from.Type().Implements(settingType):
		for i := range from.NumField() {
			copyInto(to.Field(i), from.Field(i))
		}
	case from.Kind() == reflect.Map && !from.IsNil():
		to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
		for _, key := range from.MapKeys() {
			to.SetMapIndex(key, from.MapIndex(key))
		}
	default:
		to.Set(from)
	}
}

// join gives a document with every setting of either: where both speak, what one
// says of it.
func joined(outer, inner *Document, both func(outer, inner Setting) Setting) *Document {
	out := outer.clone()
	merge(reflect.ValueOf(out).Elem(), reflect.ValueOf(inner).Elem(), both)
	return out
}

func merge(to, from reflect.Value, both func(outer, inner Setting) Setting) {
	switch {
	case from.Type().Implements(settingType):
		inner, outer := from.Interface().(Setting), to.Interface().(Setting)
		if inner.Given() && outer.Given() {
			inner = both(outer, inner)
		}
		if inner.Given() {
			to.Set(reflect.ValueOf(inner))
		}
	case from.Kind() == reflect.Struct:
		for i := range from.NumField() {
			merge(to.Field(i), from.Field(i), both)
		}
	case from.Kind() == reflect.Map:
		for _, key := range from.MapKeys() {
			inner := from.MapIndex(key).Interface().(Setting)
			if held := to.MapIndex(key); held.IsValid() {
				inner = both(held.Interface().(Setting), inner)
			} else if to.IsNil() {
				to.Set(reflect.MakeMap(to.Type()))
			}
			to.SetMapIndex(key, reflect.ValueOf(inner))
		}
	}
}

// Over gives a document in which what is said here takes the place of what
// another says: a platform's own words over a profile's.
func (d *Document) Over(other *Document) *Document {
	return joined(other, d, func(_, inner Setting) Setting { return inner })
}

// Within gives what is in force for a customer: the stricter of what the
// platform and the customer say, setting by setting. It is never looser than the
// platform's, whichever of them changed last.
func (d *Document) Within(platform *Document) *Document {
	return joined(platform, d, func(outer, inner Setting) Setting { return inner.meet(outer) })
}

// Narrows refuses a customer's document that would loosen the platform's, and
// says where, or that would contradict it.
func (d *Document) Narrows(platform *Document) error {
	var wrong []error
	outer := platform.settings()
	for _, n := range d.settings() {
		i, found := slices.BinarySearchFunc(outer, n, byName)
		if !found {
			continue
		}
		if inner := n.setting; !filled(inner, outer[i].setting).within(outer[i].setting) {
			wrong = append(wrong, fmt.Errorf("%s (%s) would be looser than the platform's (%s)", n.path, inner.words(), outer[i].setting.words()))
		}
	}
	if err := refused(wrong); err != nil {
		return err
	}
	return d.Within(platform).check()
}

// filled gives a period that names one limit only the platform's other one.
func filled(inner, outer Setting) Setting {
	k, is := inner.(Keeping)
	if !is {
		return inner
	}
	o := outer.(Keeping)
	if !k.AtMost.set {
		k.AtMost = o.AtMost
	}
	if !k.AtLeast.set {
		k.AtLeast, k.Law = o.AtLeast, o.Law
	}
	return k
}
