"""The catalog as it was at one moment: which names mean what, and who may use them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from shared.access.caller import Caller
from shared.catalog.documents import Group, Model
from shared.errors import AdminRequired, AmbiguousModel, MissingParameter, ModelNotAllowed, ModelNotFound

_SHOWN = 256
"""Characters of an unknown name that an error repeats: no id is longer."""


class Catalog:
    """An immutable snapshot. Every look-up is O(1) but for groups, which look at each of their members.

    `models` and `groups` hold all documents that can serve, the disabled ones too, by id and in its order.
    """

    def __init__(self, documents: Iterable[Model | Group] = ()) -> None:
        models: dict[str, Model] = {}
        groups: dict[str, Group] = {}
        by_code: dict[str, list[Model]] = {}
        defaults: dict[str, list[Model]] = {}
        for document in sorted(documents, key=lambda document: document.id):
            if isinstance(document, Group):
                groups[document.id] = document
                continue
            models[document.id] = document
            if document.enabled:
                by_code.setdefault(document.code, []).append(document)
                for operation in document.default_for:
                    defaults.setdefault(operation, []).append(document)
        self.models: Mapping[str, Model] = MappingProxyType(models)
        self.groups: Mapping[str, Group] = MappingProxyType(groups)
        named: dict[str, Model | Group] = {**models, **groups}
        self._named = {id: document for id, document in named.items() if document.enabled}
        self._by_code = by_code
        self._defaults = defaults

    def resolve(self, name: str, caller: Caller) -> Model | Group:
        """What `name` means to this caller: an id, else a code that one model has among those it may use.

        Raises `ModelNotAllowed` where the key's list leaves out an id that its project may use,
        `AmbiguousModel` with the ids where a code has several models, else `ModelNotFound`.
        """
        found = self._named.get(name)
        if found is not None and self._exists_for(found, caller):
            if caller.models is None or found.id in caller.models:
                return found
            raise ModelNotAllowed(f"This key may not use the model '{found.id}'.", param="model")
        coded = self._coded(name, caller)
        if len(coded) == 1:
            return coded[0]
        if coded:
            ids = ", ".join(f"'{model.id}'" for model in coded)
            raise AmbiguousModel(f"'{name}' is the code of several models; use an id: {ids}.", param="model")
        raise ModelNotFound(
            f"The model '{name[:_SHOWN]}' does not exist or you do not have access to it.", param="model"
        )

    def default_model(self, operation: str, caller: Caller) -> Model:
        """The model that answers where a request names none: the first by id of those that are set for it.

        Raises `MissingParameter` where there is none that the caller may use.
        """
        for model in self._defaults.get(operation, ()):
            if _serves(model, caller) and _listed(model, caller):
                return model
        raise MissingParameter("model")

    def members(self, group: Group, caller: Caller) -> list[tuple[Model, float]]:
        """The group's members that the caller may use, with their weights, in the group's order.

        A key that lists the group may use members that it does not list.
        """
        through_group = _listed(group, caller)
        found = []
        for member in group.members:
            model = self.models.get(member.id)
            if model is None or not model.enabled or not _serves(model, caller):
                continue
            if through_group or _listed(model, caller):
                found.append((model, member.weight))
        return found

    def usable(self, name: str, caller: Caller, *, via_group: bool = False) -> Model | Group | None:
        """What `name` means to this caller, or None: for lists of names, where the unusable are passed over.

        `via_group`: the key lists a group that leads here, so its own list of models does not matter.
        """
        found = self._named.get(name)
        if found is not None and self._exists_for(found, caller):
            return found if via_group or _listed(found, caller) else None
        coded = self._coded(name, caller)
        return coded[0] if len(coded) == 1 else None

    def held(self, id: str, caller: Caller) -> Model | None:
        """The model of exactly this id, where something of the caller's lies; None where it no longer serves it.

        Raises `ModelNotAllowed` where the key lists neither the model nor a group that leads to it.
        """
        model = self.models.get(id)
        if model is None or not model.enabled or not _serves(model, caller):
            return None
        if not _listed(model, caller) and not any(
            group.enabled and _listed(group, caller) and any(member.id == id for member in group.members)
            for group in self.groups.values()
        ):
            raise ModelNotAllowed(f"This key may not use the model '{id}'.", param="model")
        return model

    def leads_to(self, found: Model | Group, model: Model) -> bool:
        """Whether a call of `found` may have been served by `model`: itself, a member, or a fallback."""
        if found is model:
            return True
        if isinstance(found, Group) and any(member.id == model.id for member in found.members):
            return True
        lists = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
        names = {name for kind in lists for name in getattr(found, kind, ())}
        if isinstance(found, Group):
            members = [self.models.get(member.id) for member in found.members]
            names |= {
                name for member in members if member for kind in lists for name in getattr(member, kind)
            }
        groups = (group for name in names if (group := self.groups.get(name)))
        return model.id in names or any(member.id == model.id for group in groups for member in group.members)

    def visible(
        self, caller: Caller, *, include_private: bool = False, project_id: str | None = None
    ) -> list[Model | Group]:
        """What the caller may use, by id. Admins may ask for another project, or for all private models too.

        Raises `AdminRequired` where someone else asks for either.
        """
        if (include_private or project_id is not None) and not caller.admin:
            param = "include_private" if include_private else "project_id"
            raise AdminRequired(f"Only admins may use '{param}'.", param=param)
        if project_id is not None:
            caller = Caller(project_id, caller.key_id, caller.role)
        return [
            document
            for id, document in sorted(self._named.items())
            if _listed(document, caller) and (include_private or self._exists_for(document, caller))
        ]

    def _coded(self, code: str, caller: Caller) -> list[Model]:
        found = self._by_code.get(code)
        if not found:
            return []
        return [model for model in found if _serves(model, caller) and _listed(model, caller)]

    def _exists_for(self, document: Model | Group, caller: Caller) -> bool:
        """Whether the caller's project may learn of it. A group without any member for it is not there."""
        if isinstance(document, Model):
            return _serves(document, caller)
        models = (self.models.get(member.id) for member in document.members)
        return any(model is not None and model.enabled and _serves(model, caller) for model in models)


def _serves(model: Model, caller: Caller) -> bool:
    return not model.private or caller.project in model.project_set


def _listed(document: Model | Group, caller: Caller) -> bool:
    return caller.models is None or document.id in caller.models
